"""The names of NumPy's that are refused, with the reasons. docs/numpy-functions.md is made from it."""

from __future__ import annotations

_COMPLEX = "its results are complex numbers, which numgrad does not have"
_OBJECTS = "numgrad has no dtype for text, objects, dates or records"
_INTO_ARRAYS = "it hands out NumPy's own elements, which have no history; index the array, or iterate over it"

_GROUPS: dict[str, str] = {
    _COMPLEX: """
        roots sort_complex linalg.eig linalg.eigvals emath
        complex64 complex128 complex256 complex192 csingle cdouble clongdouble clongfloat
        fft.fft fft.ifft fft.rfft fft.irfft fft.hfft fft.ihfft fft.rfftn fft.irfftn fft.rfft2 fft.irfft2 fft.fft2 fft.ifft2 fft.fftn
        fft.ifftn
    """,
    _OBJECTS: """
        bytes_ str_ object_ void record recarray datetime64 timedelta64 character flexible
        busday_count busday_offset busdaycalendar is_busday datetime_as_string datetime_data isnat frompyfunc
        char strings rec
    """,
    "numgrad does not have the dtype; it has bool, uint8, int8, int16, int32, int64, float16, float32 and float64": """
        uint16 uint32 uint64 uint uintc uintp ulong ulonglong ushort longdouble float128 float96 longlong
    """,
    _INTO_ARRAYS: "nditer nested_iters flatiter broadcast",
    "it is a class of NumPy's own memory; take numgrad.numpy.array": "matrix asmatrix bmat memmap",
    "older interface to polynomials; take polyval, polyfit and their like": "poly1d polynomial",
    "masked arrays have no gradient here; take where, or the nan functions": "ma",
    "it is about the installation or the C interface of NumPy; import it from numpy": """
        core ctypeslib f2py get_include show_config show_runtime test getbufsize setbufsize
    """,
    "exchange of memory is numgrad.from_dlpack's": "from_dlpack",
    "it makes generators of random words, which numgrad takes as they are: default_rng(numpy.random.PCG64(seed))": """
        random.RandomState random.SeedSequence random.MT19937 random.Philox random.PCG64 random.PCG64DXSM random.SFC64
        random.BitGenerator random.get_state random.set_state
    """,
    "it is deprecated in NumPy; take randint or random": "random.random_integers random.ranf random.sample",
}

# A dotted name of NumPy's: why it is refused.
REFUSED: dict[str, str] = {name: reason for reason, names in _GROUPS.items() for name in names.split()}
