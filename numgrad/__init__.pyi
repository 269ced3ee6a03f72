# Written by: python -m tests.contracts.stubs
from typing import Any
from numgrad import autograd as autograd
from numgrad import compile as compile
from numgrad import func as func
from numgrad import models as models
from numgrad import nn as nn
from numgrad import ops as ops
from numgrad import optim as optim
from numgrad import profiler as profiler
from numgrad import utils as utils
from numgrad import viz as viz
from numgrad import weights as weights
from numgrad.autograd import enable_grad as enable_grad
from numgrad.autograd import inference_mode as inference_mode
from numgrad.autograd import is_grad_enabled as is_grad_enabled
from numgrad.autograd import is_inference_mode_enabled as is_inference_mode_enabled
from numgrad.autograd import no_grad as no_grad
from numgrad.autograd import set_grad_enabled as set_grad_enabled
from numgrad.dtypes import dtype as dtype
from numgrad.dtypes import get_default_dtype as get_default_dtype
from numgrad.dtypes import promote_types as promote_types
from numgrad.dtypes import set_default_dtype as set_default_dtype
from numgrad.kernels import scalar as scalar
from numgrad.layout import Size as Size
from numgrad.layout import channels_last as channels_last
from numgrad.layout import contiguous_format as contiguous_format
from numgrad.layout import memory_format as memory_format
from numgrad.layout import preserve_format as preserve_format
from numgrad.ops.custom import custom_op as custom_op
from numgrad.ops.family import elementwise as elementwise
from numgrad.runtime.threads import get_num_threads as get_num_threads
from numgrad.runtime.threads import set_num_threads as set_num_threads
from numgrad.serialization.checkpoint import load as load
from numgrad.serialization.checkpoint import save as save
from numgrad.tensor.activations import relu_ as relu_
from numgrad.tensor.arguments import result_type as result_type
from numgrad.tensor.attention import scaled_dot_product_attention as scaled_dot_product_attention
from numgrad.tensor.clamping import clamp as clamp
from numgrad.tensor.clamping import clamp_ as clamp_
from numgrad.tensor.clamping import clamp_max as clamp_max
from numgrad.tensor.clamping import clamp_max_ as clamp_max_
from numgrad.tensor.clamping import clamp_min as clamp_min
from numgrad.tensor.clamping import clamp_min_ as clamp_min_
from numgrad.tensor.comparison import allclose as allclose
from numgrad.tensor.comparison import bitwise_not as bitwise_not
from numgrad.tensor.comparison import equal as equal
from numgrad.tensor.creation import arange as arange
from numgrad.tensor.creation import as_tensor as as_tensor
from numgrad.tensor.creation import empty as empty
from numgrad.tensor.creation import empty_like as empty_like
from numgrad.tensor.creation import eye as eye
from numgrad.tensor.creation import from_numpy as from_numpy
from numgrad.tensor.creation import full as full
from numgrad.tensor.creation import full_like as full_like
from numgrad.tensor.creation import linspace as linspace
from numgrad.tensor.creation import ones as ones
from numgrad.tensor.creation import ones_like as ones_like
from numgrad.tensor.creation import tensor as tensor
from numgrad.tensor.creation import zeros as zeros
from numgrad.tensor.creation import zeros_like as zeros_like
from numgrad.tensor.grids import atleast_1d as atleast_1d
from numgrad.tensor.grids import atleast_2d as atleast_2d
from numgrad.tensor.grids import atleast_3d as atleast_3d
from numgrad.tensor.grids import block_diag as block_diag
from numgrad.tensor.grids import broadcast_shapes as broadcast_shapes
from numgrad.tensor.grids import broadcast_tensors as broadcast_tensors
from numgrad.tensor.grids import broadcast_to as broadcast_to
from numgrad.tensor.grids import cartesian_prod as cartesian_prod
from numgrad.tensor.grids import column_stack as column_stack
from numgrad.tensor.grids import combinations as combinations
from numgrad.tensor.grids import concat as concat
from numgrad.tensor.grids import concat as concatenate
from numgrad.tensor.grids import dstack as dstack
from numgrad.tensor.grids import hstack as hstack
from numgrad.tensor.grids import meshgrid as meshgrid
from numgrad.tensor.grids import vander as vander
from numgrad.tensor.grids import vstack as row_stack
from numgrad.tensor.grids import vstack as vstack
from numgrad.tensor.indexing import gather as gather
from numgrad.tensor.indexing import index_put as index_put
from numgrad.tensor.indexing import index_put_ as index_put_
from numgrad.tensor.indexing import index_select as index_select
from numgrad.tensor.indexing import scatter_add as scatter_add
from numgrad.tensor.joining import cat as cat
from numgrad.tensor.joining import chunk as chunk
from numgrad.tensor.joining import split as split
from numgrad.tensor.joining import stack as stack
from numgrad.tensor.joining import unbind as unbind
from numgrad.tensor.layers import batch_norm as batch_norm
from numgrad.tensor.layers import bmm as bmm
from numgrad.tensor.layers import conv2d as conv2d
from numgrad.tensor.layers import dot as dot
from numgrad.tensor.layers import embedding as embedding
from numgrad.tensor.layers import layer_norm as layer_norm
from numgrad.tensor.layers import linear as linear
from numgrad.tensor.layers import log_softmax as log_softmax
from numgrad.tensor.layers import matmul as matmul
from numgrad.tensor.layers import mm as mm
from numgrad.tensor.layers import softmax as softmax
from numgrad.tensor.losses import binary_cross_entropy_with_logits as binary_cross_entropy_with_logits
from numgrad.tensor.losses import cross_entropy as cross_entropy
from numgrad.tensor.losses import l1_loss as l1_loss
from numgrad.tensor.losses import mse_loss as mse_loss
from numgrad.tensor.losses import nll_loss as nll_loss
from numgrad.tensor.network import group_norm as group_norm
from numgrad.tensor.placing import index_add as index_add
from numgrad.tensor.placing import index_copy as index_copy
from numgrad.tensor.placing import index_fill as index_fill
from numgrad.tensor.placing import index_reduce as index_reduce
from numgrad.tensor.placing import masked_scatter as masked_scatter
from numgrad.tensor.placing import masked_select as masked_select
from numgrad.tensor.placing import put as put
from numgrad.tensor.placing import take as take
from numgrad.tensor.pointwise import add as add
from numgrad.tensor.pointwise import div as div
from numgrad.tensor.pointwise import floor_divide as floor_divide
from numgrad.tensor.pointwise import gelu as gelu
from numgrad.tensor.pointwise import maximum as maximum
from numgrad.tensor.pointwise import minimum as minimum
from numgrad.tensor.pointwise import mul as mul
from numgrad.tensor.pointwise import pow as pow
from numgrad.tensor.pointwise import remainder as remainder
from numgrad.tensor.pointwise import sign as sign
from numgrad.tensor.pointwise import square as square
from numgrad.tensor.pointwise import sub as sub
from numgrad.tensor.pointwise import where as where
from numgrad.tensor.pooling import adaptive_avg_pool2d as adaptive_avg_pool2d
from numgrad.tensor.pooling import avg_pool2d as avg_pool2d
from numgrad.tensor.pooling import max_pool2d as max_pool2d
from numgrad.tensor.random import Generator as Generator
from numgrad.tensor.random import bernoulli as bernoulli
from numgrad.tensor.random import dropout as dropout
from numgrad.tensor.random import get_rng_state as get_rng_state
from numgrad.tensor.random import initial_seed as initial_seed
from numgrad.tensor.random import manual_seed as manual_seed
from numgrad.tensor.random import rand as rand
from numgrad.tensor.random import rand_like as rand_like
from numgrad.tensor.random import randint as randint
from numgrad.tensor.random import randn as randn
from numgrad.tensor.random import randn_like as randn_like
from numgrad.tensor.random import randperm as randperm
from numgrad.tensor.random import seed as seed
from numgrad.tensor.random import set_rng_state as set_rng_state
from numgrad.tensor.reductions import all as all
from numgrad.tensor.reductions import amax as amax
from numgrad.tensor.reductions import amin as amin
from numgrad.tensor.reductions import any as any
from numgrad.tensor.reductions import argmax as argmax
from numgrad.tensor.reductions import argmin as argmin
from numgrad.tensor.reductions import max as max
from numgrad.tensor.reductions import mean as mean
from numgrad.tensor.reductions import min as min
from numgrad.tensor.reductions import norm as norm
from numgrad.tensor.reductions import prod as prod
from numgrad.tensor.reductions import std as std
from numgrad.tensor.reductions import sum as sum
from numgrad.tensor.reductions import var as var
from numgrad.tensor.repeating import flip as flip
from numgrad.tensor.repeating import fliplr as fliplr
from numgrad.tensor.repeating import flipud as flipud
from numgrad.tensor.repeating import repeat_interleave as repeat_interleave
from numgrad.tensor.repeating import roll as roll
from numgrad.tensor.repeating import rot90 as rot90
from numgrad.tensor.repeating import tile as tile
from numgrad.tensor.rounding import round as round
from numgrad.tensor.scattering import scatter as scatter
from numgrad.tensor.scattering import scatter_reduce as scatter_reduce
from numgrad.tensor.scattering import take_along_dim as take_along_dim
from numgrad.tensor.selection import masked_fill as masked_fill
from numgrad.tensor.shaping import clone as clone
from numgrad.tensor.shaping import expand as expand
from numgrad.tensor.shaping import flatten as flatten
from numgrad.tensor.shaping import narrow as narrow
from numgrad.tensor.shaping import permute as permute
from numgrad.tensor.shaping import reshape as reshape
from numgrad.tensor.shaping import select as select
from numgrad.tensor.shaping import squeeze as squeeze
from numgrad.tensor.shaping import t as t
from numgrad.tensor.shaping import transpose as transpose
from numgrad.tensor.shaping import unsqueeze as unsqueeze
from numgrad.tensor.tensor import Tensor as Tensor

def abs(input: Tensor) -> Tensor: ...
def abs_(self: Tensor) -> Tensor: ...
def bitwise_and(input: Any, other: Any) -> Tensor: ...
def bitwise_left_shift(input: Any, other: Any) -> Tensor: ...
def bitwise_or(input: Any, other: Any) -> Tensor: ...
def bitwise_right_shift(input: Any, other: Any) -> Tensor: ...
def bitwise_xor(input: Any, other: Any) -> Tensor: ...
def ceil(input: Tensor) -> Tensor: ...
def ceil_(self: Tensor) -> Tensor: ...
def cos(input: Tensor) -> Tensor: ...
def cos_(self: Tensor) -> Tensor: ...
def eq(input: Any, other: Any) -> Tensor: ...
def erf(input: Tensor) -> Tensor: ...
def erf_(self: Tensor) -> Tensor: ...
def exp(input: Tensor) -> Tensor: ...
def exp_(self: Tensor) -> Tensor: ...
def expm1(input: Tensor) -> Tensor: ...
def expm1_(self: Tensor) -> Tensor: ...
def floor(input: Tensor) -> Tensor: ...
def floor_(self: Tensor) -> Tensor: ...
def ge(input: Any, other: Any) -> Tensor: ...
def gt(input: Any, other: Any) -> Tensor: ...
def isfinite(input: Tensor) -> Tensor: ...
def isnan(input: Tensor) -> Tensor: ...
def le(input: Any, other: Any) -> Tensor: ...
def log(input: Tensor) -> Tensor: ...
def log1p(input: Tensor) -> Tensor: ...
def log1p_(self: Tensor) -> Tensor: ...
def log_(self: Tensor) -> Tensor: ...
def logical_not(input: Tensor) -> Tensor: ...
def lt(input: Any, other: Any) -> Tensor: ...
def ne(input: Any, other: Any) -> Tensor: ...
def neg(input: Tensor) -> Tensor: ...
def neg_(self: Tensor) -> Tensor: ...
def reciprocal(input: Tensor) -> Tensor: ...
def reciprocal_(self: Tensor) -> Tensor: ...
def relu(input: Tensor) -> Tensor: ...
def round_(self: Tensor, *, decimals: int = 0) -> Tensor: ...
def rsqrt(input: Tensor) -> Tensor: ...
def rsqrt_(self: Tensor) -> Tensor: ...
def sigmoid(input: Tensor) -> Tensor: ...
def sigmoid_(self: Tensor) -> Tensor: ...
def silu(input: Tensor) -> Tensor: ...
def sin(input: Tensor) -> Tensor: ...
def sin_(self: Tensor) -> Tensor: ...
def softplus(input: Tensor) -> Tensor: ...
def sqrt(input: Tensor) -> Tensor: ...
def sqrt_(self: Tensor) -> Tensor: ...
def square_(self: Tensor) -> Tensor: ...
def tanh(input: Tensor) -> Tensor: ...
def tanh_(self: Tensor) -> Tensor: ...
def trunc(input: Tensor) -> Tensor: ...
def trunc_(self: Tensor) -> Tensor: ...

__version__: str
bool: dtype
double: dtype
float: dtype
float32: dtype
float64: dtype
int16: dtype
int32: dtype
int64: dtype
int8: dtype
long: dtype
uint8: dtype
