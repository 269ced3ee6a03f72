"""Calls of every function of NumPy's, as texts: they run with numpy and with numgrad.numpy, and drive the tests.

A row is the text after ``np.``. The variables are in `VARIABLES`: capital letters are float64, of which gradients are tested.
`changed(f, x, ...)` is a copy of x after ``f(copy, ...)``, for functions that write.
"""

from __future__ import annotations

from typing import Any

import numpy as np

_rng = np.random.default_rng(7)

VARIABLES: dict[str, Any] = {
    "X": _rng.permutation(np.linspace(-0.93, 0.91, 12)).reshape(3, 4),
    "Y": _rng.permutation(np.linspace(-1.83, 1.71, 12)).reshape(3, 4),
    "P": _rng.permutation(np.linspace(0.31, 2.33, 12)).reshape(3, 4),
    "G": _rng.permutation(np.linspace(1.21, 3.1, 12)).reshape(3, 4),
    "V": _rng.permutation(np.linspace(-0.7, 1.1, 4)),
    "W": _rng.permutation(np.linspace(-1.3, 0.9, 5)),
    "R": np.array([0.2, 0.9, 1.7, 2.2]),
    "S": np.array([[2.0, 0.3, -0.5], [0.4, 1.7, 0.6], [-0.2, 0.1, 1.3]]),
    "D": np.array([[2.0, 0.3, -0.2], [0.3, 1.7, 0.4], [-0.2, 0.4, 1.3]]),
    "T": _rng.permutation(np.linspace(-1.1, 1.3, 24)).reshape(2, 3, 4),
    "Z": np.array([0.0, 0.0, 0.5, 0.0, -1.5, 0.0]),
    "C": np.array(0.7),
    "E": np.array([[0.5, np.nan, -0.25, 0.8], [np.nan, 0.1, 0.7, -0.3], [1.1, 0.2, 0.4, np.nan]]),
    "U": np.array([0.5, 0.1, 0.5, 0.9, 0.1]),
    "i": np.array([[3, 1, 2, 0], [5, 5, -4, 7], [2, 6, 9, 1]]),
    "j": np.array([2, 0, 3, 1]),
    "k": np.array([[2, 1, 3, 1], [4, 2, 5, 3], [1, 1, 2, 2]]),
    "b": np.array([[True, False, True, True], [False, False, True, False], [True, True, False, False]]),
    "c": np.array([True, False, True, False]),
    "f": np.arange(12, dtype=np.float32).reshape(3, 4) / 8,
    "h": np.array([1, 200, 37], dtype=np.uint8),
    "g": np.array([1, 1, 0, 1, 0, 0, 1, 0], dtype=np.uint8),
}
FLOATS = [name for name in VARIABLES if name.isupper()]

ROWS = """
# ---- ufuncs of one argument
abs(X) absolute(i) fabs(X) sign(X) negative(X) positive(X) conj(X) conjugate(X) square(X) sqrt(P) cbrt(X) exp(X)
exp2(X) expm1(X) log(P) log2(P) log10(P) log1p(X) sin(X) cos(X) tan(X) arcsin(X) arccos(X) arctan(X) asin(X) acos(X)
atan(X) sinh(X) cosh(X) tanh(X) arcsinh(X) arccosh(G) arctanh(X) asinh(X) acosh(G) atanh(X) deg2rad(X) rad2deg(X)
degrees(X) radians(X) reciprocal(P) reciprocal(k) floor(Y) ceil(Y) trunc(Y) rint(Y) isfinite(E) isinf(E) isnan(E)
signbit(X) spacing(X) frexp(Y) modf(Y) logical_not(i) invert(i) bitwise_not(i) bitwise_invert(b) bitwise_count(i)
sin(i) sqrt(h) exp(f) floor(i) negative(h) sin(0.5) sqrt(4) absolute(b)
# ---- of two
add(X,Y) add(X,V) add(i,b) add(i,0.5) add(f,i) add(f,2.5) add(h,3) subtract(X,Y) multiply(X,V) multiply(i,k)
divide(X,P) divide(i,k) true_divide(X,P) floor_divide(Y,P) floor_divide(i,k) remainder(Y,P) mod(Y,P) mod(i,k)
fmod(Y,P) fmod(i,k) divmod(Y,P) power(P,X) pow(P,3) power(k,2) float_power(P,X) float_power(k,2) arctan2(X,Y)
atan2(X,Y) hypot(X,Y) logaddexp(X,Y) logaddexp2(X,Y) maximum(X,Y) minimum(X,V) maximum(X,0.1) fmax(X,Y) fmin(X,Y)
maximum(E,X) fmax(E,X) copysign(P,X) nextafter(X,Y) ldexp(X,j) heaviside(X,0.5) gcd(i,k) lcm(i,k) left_shift(k,2)
right_shift(i,1) bitwise_left_shift(k,2) bitwise_right_shift(i,1) bitwise_and(i,k) bitwise_or(i,k) bitwise_xor(i,k)
bitwise_and(b,c) equal(X,Y) not_equal(i,k) less(X,Y) less_equal(X,0.1) greater(X,Y) greater_equal(i,2) less(h,300)
logical_and(X,b) logical_or(b,c) logical_xor(i,b) matmul(X,V) matmul(S,X) matmul(T,V) matmul(i,j) vecdot(X,Y)
matvec(X,V) vecmat(V[:3],X) multiply(b,c) add(b,c) floor_divide(7,k) power(2,k)
# ---- arguments and methods of ufuncs
sin(X,where=b,out=np.ones_like(X)) log(X,where=X>0,out=np.zeros_like(X)) add(X,Y,where=b,out=np.copy(Y))
arccosh(Y,where=Y>1,out=np.zeros_like(Y)) add(X,i,dtype=float) add(i,k,dtype='float32')
sqrt(P,where=b,out=np.zeros_like(P)) add.reduce(X) add.reduce(T,axis=(0,2),keepdims=True) multiply.reduce(X,axis=1)
maximum.reduce(X,axis=None) subtract.reduce(X,axis=1) logaddexp.reduce(X,axis=1) add.reduce(X,initial=2.0,where=b)
minimum.reduce(X,initial=0.3) hypot.reduce(T,axis=(0,1)) logical_and.reduce(b,axis=1) bitwise_or.reduce(i,axis=1)
add.accumulate(X,axis=1) multiply.accumulate(X) maximum.accumulate(X,axis=1) subtract.accumulate(X)
add.reduceat(V,[0,2,1]) multiply.reduceat(X,[0,2],axis=1) add.outer(X,V) multiply.outer(V,W) power.outer(R,V)
less.outer(V,W) add.outer(2.0,V) changed(np.add.at,V,[0,1,0],W[:3]) changed(np.subtract.at,V,[0,1,0],W[:3])
changed(np.multiply.at,V,[0,1,0],W[:3]) changed(np.maximum.at,V,[0,1,0],W[:3])
changed(np.add.at,X,(j[:2],[1,1]),W[:2])
# ---- creation
array([X[0],Y[1]]) array([X[0,1],2.0,C]) array(X,ndmin=3) array([1,2]) array([[1.5],[2]]) asarray(X) asanyarray(X)
ascontiguousarray(X.T) asfortranarray(X) asarray_chkfinite(X) require(X) copy(X) astype(X,'float32') astype(i,float)
zeros((2,3)) zeros(2,int) ones(3) ones((2,2),dtype=bool) zeros_like(X) ones_like(i)
zeros_like(X,dtype=int,shape=(2,)) full((2,3),C) full(2,7) full_like(X,2) full_like(i,1.5) empty((0,3))
empty_like(zeros((0,2))) arange(5) arange(1,2,0.25) arange(3.0) arange(0,5,2,dtype='int32') linspace(C,2,5)
linspace(0,1,4,endpoint=False) linspace(V,2*V,3,axis=1) linspace(0,C,5,retstep=True) linspace(0,5,3,dtype=int)
logspace(C,2,4) logspace(0,1,3,base=2.0) geomspace(1,256,9) geomspace(R,2*R,3) eye(3) eye(2,4,1,dtype=int)
identity(2) tri(3,4,1) meshgrid(V,W) meshgrid(V,W,indexing='ij',sparse=True) ix_([0,2],[1,3]) indices((2,3))
indices((2,3),sparse=True) fromfunction(lambda a,b:a*2+b,(2,3)) fromiter((v for v in [1.5,2.5]),float) diag(V)
diag(V,1) diag(X,1) diagflat(X[:2,:2]) tril(X) tril(X,1) triu(X,-1) triu(V) vander(V) vander(V,3,increasing=True)
bartlett(5) blackman(5) hamming(5) hanning(5) kaiser(6,2.5) kaiser(5,C) resize(X,(2,5)) ndim(X) size(X) size(X,1)
shape(X) frombuffer(b'\\x01\\x02',dtype='uint8') fromstring('1,2',sep=',') fromfile(file(np.array([1.5,2.5])))
loadtxt(['1\\x202','3\\x204']) genfromtxt(['1,2','3,4'],delimiter=',')
fromregex(text('1\\x202'),r'(\\d)',[('a',int)])['a'].tolist() load(npy([1.5]))
# ---- forms
reshape(X,(4,3)) reshape(X,-1) reshape(X,(2,-1),order='F') ravel(X) ravel(X,'F') transpose(T) transpose(T,(1,0,2))
permute_dims(T,(2,0,1)) matrix_transpose(T) swapaxes(T,0,-1) moveaxis(T,0,-1) moveaxis(T,(0,1),(2,0)) rollaxis(T,2)
rollaxis(T,0,3) expand_dims(X,1) expand_dims(X,(0,-1)) squeeze(X[:1]) squeeze(X[:,:1],axis=1) atleast_1d(C)
atleast_2d(V) atleast_3d(X,V) broadcast_to(V,(3,4)) broadcast_arrays(X,V,C) concatenate([X,Y])
concatenate((X,i),axis=1) concatenate([X,V],axis=None) concat([X,Y],axis=1) stack([X,Y]) stack([V,R],axis=1)
vstack([V,X]) row_stack([V,X]) hstack([X,Y]) hstack([V,W]) dstack([X,Y]) column_stack([V,R]) block([[S,D],[D,S]])
block([V,W]) append(X,V) append(X,Y,axis=1) insert(V,1,C) insert(V,[1,3],W[:2]) insert(X,1,V,axis=0)
insert(X,1,2.0,axis=1) insert(X,[1,2],Y[:,:2],axis=1) insert(V,slice(0,2),W[:2]) delete(V,1) delete(X,[0,2],axis=1)
delete(X,slice(0,2),axis=0) trim_zeros(Z) trim_zeros(Z,'f') array_split(W,3) split(V,2) split(X,[1,3],axis=1)
hsplit(X,2) vsplit(X,3) dsplit(T,2) unstack(X) unstack(X,axis=1) tile(V,2) tile(X,(2,1,2)) repeat(X,2)
repeat(X,[1,0,2],axis=0) roll(X,1) roll(X,(1,-1),axis=(0,1)) flip(X) flip(X,0) flipud(X) fliplr(X) rot90(X)
rot90(X,2) pad(V,1) pad(X,((1,0),(0,2)),constant_values=C) pad(V,2,mode='edge') pad(V,2,mode='reflect')
pad(V,2,mode='symmetric') pad(V,5,mode='wrap') pad(V,(2,3),mode='linear_ramp',end_values=(1,C)) pad(X,1,mode='mean')
pad(X,((1,2),(0,1)),mode='maximum') pad(V,2,mode='minimum',stat_length=2) pad(W,1,mode='median')
apply_along_axis(lambda v:v*v[0],1,X) apply_along_axis(np.sum,0,T) apply_over_axes(np.sum,T,[0,2])
changed(np.copyto,X,Y) changed(np.copyto,X,V,where=b) broadcast_shapes((3,1),(4,)) r_[V,0.5,1:3] r_['0,2',V,V]
r_['1,2,0',V,V] c_[V,R] mgrid[0:2,0:3] ogrid[0:2,0:1:3j] vectorize(lambda a,b:a*b+1)(X,V)
lib.stride_tricks.sliding_window_view(V,3) lib.stride_tricks.sliding_window_view(X,(2,3))
# ---- reductions
sum(X) sum(C,axis=0) cumsum(C,axis=0) argsort(C) sum(X,axis=0) sum(T,axis=(0,-1),keepdims=True) sum(i) sum(b,axis=1)
sum(f,dtype=float)
sum(X,where=b,initial=1.0) prod(X,axis=1) prod(T,axis=(0,1)) prod(k) prod(X,where=b) mean(X) mean(i,axis=0)
mean(X,axis=1,keepdims=True) mean(X,where=b) mean(f) var(X) var(X,axis=0,ddof=1) var(i) var(X,where=b)
var(X,correction=1) std(X) std(X,axis=1,keepdims=True) std(T,axis=(0,2),ddof=1)
std(X,axis=1,where=[True,True,False,True]) max(X) max(X,axis=1) amax(X,0) max(i,axis=0) max(b,axis=1)
max(X,axis=1,initial=0.2,where=b) min(X,axis=0,keepdims=True) amin(X) ptp(X,axis=1) all(X) all(b,axis=1)
any(b,axis=0) any(b,axis=(0,1),keepdims=True) any(X,where=b) count_nonzero(i,axis=0) cumsum(X) cumsum(X,axis=1)
cumsum(i) cumprod(X,axis=0) cumulative_sum(X,axis=1) cumulative_sum(V,include_initial=True)
cumulative_prod(V,include_initial=True) nansum(E) nansum(E,axis=1) nanprod(E,axis=0) nancumsum(E,axis=1)
nancumprod(E,axis=1) nanmean(E,axis=0) nanmean(i) nanvar(E,axis=1) nanstd(E,axis=0,ddof=1) nanmax(E,axis=1)
nanmin(E) nanmax(i) average(X) average(X,axis=1,weights=P[0]) average(X,weights=P,returned=True) average(i,axis=0)
# ---- order and places
sort(X) sort(X,axis=0) sort(X,axis=None) sort(i,axis=1) argsort(X) argsort(i,axis=0) partition(V,3)
argpartition(V,3) argmax(X) argmax(X,axis=1) argmin(X,axis=0,keepdims=True) nanargmax(E,axis=1) nanargmin(E)
searchsorted(R,W) searchsorted(R,1.7,side='right') nonzero(i) where(b) where(b,X,Y) where(X>0,X,0.0) where(b,X,i)
where(c,V,1) clip(X,-0.5,0.5) clip(i,1,5) clip(X,None,V) clip(X,min=0.0) take(X,[0,5,5]) take(X,j,axis=1)
take(V,[[0,9]],mode='wrap') take(X,-1,axis=0) take_along_axis(X,np.argsort(X,axis=1),axis=1)
take_along_axis(X,i[:1]%3,axis=0) changed(np.put,X,[0,5],W[:2]) changed(np.put,X,[0,5,7],C)
changed(np.put_along_axis,X,j[:3,None],Y[:,:1],1) changed(np.putmask,X,b,W) changed(np.place,X,b,W)
changed(np.fill_diagonal,S,C) changed(np.fill_diagonal,S,V[:3]) compress([0,1,1],X,axis=0) extract(b,X)
choose(j,[V,R,W[:4],V*2]) select([X>0.5,X>0],[X,Y],2.0) piecewise(V,[V<0,V>=0],[lambda v:-v,lambda v:v**2])
piecewise(V,V>0,[2.0,lambda v:v*v]) unique(U) unique(V) unique(i)
unique(i,return_index=True,return_inverse=True,return_counts=True) unique(U,return_counts=True) unique_values(U)
unique_counts(U) unique_inverse(U) unique_all(U) union1d(U,W) intersect1d(U,R+0.0) setdiff1d(U,R-0.1)
setxor1d(j,[2,9]) union1d(W,V) intersect1d(W,U) setdiff1d(V,R) isin(i,[1,2]) lexsort((j,j)) digitize(V,R)
ravel_multi_index((j,j),(4,4)) unravel_index([3,7],(3,4)) packbits(g) unpackbits(h) tril_indices(3)
triu_indices(3,1) tril_indices_from(S) triu_indices_from(S) diag_indices(2) diag_indices_from(S)
mask_indices(3,np.triu) argwhere(b) flatnonzero(i) isclose(X,Y) isclose([1.0],[1.0+1e-9]) allclose(X,X)
array_equal(X,X) array_equiv(V,V) isneginf(X) isposinf(X) isreal(X) iscomplex(X) may_share_memory(X,Y)
shares_memory(X,Y) iterable(X) isscalar(3) isscalar(X) isrealobj(X) iscomplexobj(X) isfortran(X) result_type(f,i)
can_cast(i,float) min_scalar_type(X) common_type(f,i)
# ---- statistics
quantile(X,0.3) quantile(X,[0.2,0.5],axis=1) quantile(W,[0.15,0.8],method='hazen') quantile(W,0.3,method='weibull')
quantile(W,[0.15,0.8],method='median_unbiased') quantile(W,[0.15,0.85],method='normal_unbiased')
quantile(W,0.3,method='interpolated_inverted_cdf') quantile(W,[0.3,0.6],method='inverted_cdf')
quantile(W,[0.3,0.6],method='averaged_inverted_cdf') quantile(W,[0.3,0.5,0.9],method='closest_observation')
quantile(W,0.3,method='lower') quantile(W,0.3,method='higher') quantile(W,0.3,method='nearest')
quantile(W,0.3,method='midpoint') quantile(E,0.5,axis=0) percentile(X,[25,50],axis=0,keepdims=True)
nanquantile(E,0.4,axis=1) nanpercentile(E,[10,70],axis=0) median(X) median(X,axis=1) median(i) median(E,axis=1)
nanmedian(E,axis=0) cov(X) cov(X,rowvar=False) cov(V,R) cov(X,aweights=P[0]) cov(X,fweights=k[0],ddof=0)
cov(X,bias=True) corrcoef(X) corrcoef(V,R) bincount(j) bincount(k[0],weights=V) bincount(j,minlength=6)
histogram(X,4) histogram(W,bins=[-1,0,1]) histogram(R,3,weights=P[0]) histogram(R,3,weights=P[0],density=True)
histogram(X,[-1.0,0.05,0.4]) histogram2d(V,R,2) histogramdd(X[:2].T,2) histogram_bin_edges(X,3)
# ---- along rows
diff(X) diff(X,n=2,axis=0) diff(V,prepend=0.5,append=W) diff(b) ediff1d(V,to_begin=0.5,to_end=W) gradient(V)
gradient(X,0.5) gradient(X,axis=1,edge_order=2) gradient(V,R) gradient(V,R,edge_order=2) gradient(X,2.0,R)
trapezoid(X) trapezoid(V,R) trapezoid(X,dx=0.5,axis=0) interp(V,R,W[:4]) interp(1.0,R,V)
interp(X,R,V,left=-1.0,right=C) interp(V*2.9,R,W[:4],period=2.5) convolve(V,W) convolve(E[0],V[:2])
correlate(W,E[0],'same') gradient(E[1]) cov(X[:,:1]) convolve(W,V[:2],'same')
convolve(V[:2],W,'same') convolve(W,V[:3],'valid') convolve(j,j) correlate(V,W) correlate(W,V[:2],'same')
correlate(W,V[:3],'full') correlate(V[:3],W,'full') unwrap(V*8) unwrap(X*8,axis=0,period=3.0) sinc(X) sinc(i) i0(X)
round(X,1) round(i) around(Y) round(i,-1) fix(Y) fix(i) nan_to_num(E,nan=0.5) nan_to_num(i) angle(X)
angle(X,deg=True) real(X) real_if_close(X) imag(X) trace(X) trace(T,1,1,2) diagonal(X,1) diagonal(T,0,1,2)
polyval(V,0.5) polyval(X,V) polyval(V,X) polyadd(V,W) polysub(W,V) polymul(V,W) polydiv(W,V[:2]) polydiv(V[:2],W) polyder(W)
polyder(W,2) polyint(V) polyint(V,2,[1,2]) poly(V) polyfit(R,V,2) polyfit(R,V,1,w=P[0]) polyfit(R,X.T,1)
polyfit(R,V,1,cov=True) polyfit(R,V,1,cov='unscaled')
# ---- products
dot(V,R) dot(X,V) dot(S,X) dot(C,X) dot(T,X.T) inner(X,Y) inner(C,V) vdot(X,Y) outer(V,W)
tensordot(T,X,axes=([1,2],[0,1])) tensordot(X,X.T,1) tensordot(V,W,0) kron(S,V) kron(S,X) einsum('ij,kj->ik',X,Y)
einsum('ij',X.T) einsum('...j,j',T,V) einsum(X,[0,1],V,[1],[0]) einsum('ii->i',S)
einsum('ij,j,k->ik',X,V,W,optimize=True) einsum_path('ij,jk',X,X.T) cross(S,D) cross(S,V[:3]) cross(S.T,D.T,axis=0)
linalg.matmul(S,X) linalg.vecdot(X,Y,axis=0) linalg.outer(V,W) linalg.tensordot(X,X.T,axes=1) linalg.cross(S,D)
linalg.multi_dot([V[:3],S,X]) linalg.matrix_transpose(X) linalg.trace(T) linalg.diagonal(T,offset=1)
# ---- linear algebra
linalg.inv(S) linalg.inv([S,D]) linalg.solve(S,V[:3]) linalg.solve(S,X) linalg.solve([S,D],X) linalg.det(S)
linalg.slogdet(S) linalg.cholesky(D) linalg.cholesky(D,upper=True) linalg.qr(S) linalg.qr(X.T,mode='r')
linalg.svd(X,compute_uv=False) linalg.svdvals(X) linalg.eigvalsh(D) linalg.eigvalsh(D,'U') linalg.pinv(X)
linalg.lstsq(X.T,R)[0] linalg.lstsq(X,R[:3]) linalg.lstsq(X.T,Y.T) linalg.matrix_power(S,3)
linalg.matrix_power(S,-2) linalg.matrix_power(i[:,:3],2) linalg.matrix_rank(S) linalg.norm(X) linalg.norm(V,1)
linalg.norm(X,axis=1) linalg.norm(X,'fro') linalg.norm(X,'nuc') linalg.norm(X,2) linalg.norm(X,np.inf)
linalg.norm(T,axis=(0,2)) linalg.norm(V,3,keepdims=True) linalg.norm(i) linalg.vector_norm(X)
linalg.vector_norm(X,axis=1,ord=1) linalg.matrix_norm(T) linalg.matrix_norm(X,ord='nuc') linalg.cond(S)
linalg.cond(X) linalg.cond(S,1) linalg.tensorsolve(reshape(S,(1,3,3)),V[None,:3])
linalg.tensorinv(reshape(S,(3,3,1)),ind=1)
# ---- transforms
fft.fftshift(V) fft.fftshift(X,axes=1) fft.ifftshift(W) fft.fftfreq(5,C) fft.rfftfreq(4,0.5)
# ---- texts and files
array_repr(V) array_str(V) array2string(V,precision=2) format_float_positional(0.5) format_float_scientific(0.5)
base_repr(5,3) binary_repr(5) written(np.save,V) written(np.savez,V) written(np.savez_compressed,V)
written(np.savetxt,V)
""".replace("reshape(S", "np.reshape(S").replace("empty_like(zeros", "empty_like(np.zeros")

# Calls whose results are compared by what they are made of: factors are unique only up to signs.
PRODUCTS = """
linalg.svd(X,full_matrices=False) linalg.eigh(D) linalg.qr(X.T)
"""

# Names whose results have no gradient: counts, places, truths, texts, and steps, whose slope is 0 wherever there is one.
WITHOUT_GRADIENT = """
floor_divide heaviside isfinite isinf isnan signbit spacing logical_not invert bitwise_not bitwise_invert
bitwise_count gcd lcm left_shift right_shift bitwise_left_shift bitwise_right_shift bitwise_and bitwise_or
bitwise_xor equal not_equal less less_equal greater greater_equal logical_and logical_or logical_xor zeros ones
zeros_like ones_like full_like empty empty_like arange eye identity tri ix_ indices fromfunction fromiter bartlett
blackman hamming hanning ndim size shape frombuffer fromstring fromfile loadtxt genfromtxt fromregex load
broadcast_shapes mgrid ogrid all any count_nonzero argsort argpartition argmax argmin nanargmax nanargmin
searchsorted nonzero unique_counts unique_inverse isin lexsort digitize ravel_multi_index unravel_index packbits
unpackbits tril_indices triu_indices tril_indices_from triu_indices_from diag_indices diag_indices_from mask_indices
argwhere flatnonzero isclose allclose array_equal array_equiv isneginf isposinf isreal iscomplex may_share_memory
shares_memory iterable isscalar isrealobj iscomplexobj isfortran result_type can_cast min_scalar_type common_type
histogram2d histogramdd histogram_bin_edges imag einsum_path linalg.matrix_rank fft.rfftfreq setxor1d array_repr
array_str array2string format_float_positional format_float_scientific base_repr binary_repr save savez
savez_compressed savetxt nextafter
""".split()

# Where differences are no derivative: equal values that part, numbers of few digits, and products with NaN.
NOT_SMOOTH = """
astype(X,'float32') unique(U) unique(U,return_counts=True) unique_values(U) unique_all(U) union1d(U,W)
intersect1d(U,R+0.0) setdiff1d(U,R-0.1) intersect1d(W,U) histogram(W,bins=[-1,0,1])
histogram(X,[-1.0,0.05,0.4]) convolve(E[0],V[:2]) correlate(W,E[0],'same')
""".split()

# NumPy itself makes arrays of the arguments of these, and asks no tensor.
NOT_ASKED = """
array asarray asanyarray ascontiguousarray asfortranarray asarray_chkfinite require full fromfunction fromiter
kaiser frombuffer isfortran r_ c_ mgrid ogrid vectorize
""".split()
