"""The classes of Keras's ops: in a file the settings of a call are those of its class.

Of each op the module that its class is in, and which of its arguments the class takes.
"""

from typing import Any

from rnn_engine.utils.naming import to_snake_case

_CLASSES = {
    "numpy": """
        abs absolute add all:axis,keepdims amax:axis,keepdims amin:axis,keepdims angle
        any:axis,keepdims append:axis arange:dtype arccos arccosh arcsin arcsinh arctan arctan2
        arctanh argmax:axis,keepdims argmin:axis,keepdims argpartition:kth,axis argsort:axis
        array:dtype array_split:indices_or_sections,axis average:axis
        bincount:weights,minlength,sparse bitwise_and bitwise_invert bitwise_left_shift bitwise_not
        bitwise_or bitwise_right_shift bitwise_xor broadcast_to:shape cbrt ceil clip:x_min,x_max
        concatenate:axis conj conjugate copy cos cosh count_nonzero:axis
        cross:axisa,axisb,axisc,axis cumprod:axis,dtype cumsum:axis,dtype deg2rad diag:k diagflat:k
        diagonal:offset,axis1,axis2 diff:n,axis digitize divide divide_no_nan dot
        dsplit:indices_or_sections dstack einsum:subscripts empty_like:dtype equal exp exp2
        expand_dims:axis expm1 fabs flip:axis fliplr flipud floor floor_divide fmax fmin fmod
        full:shape,dtype full_like:dtype gcd geomspace:num,endpoint,dtype,axis get_item greater
        greater_equal heaviside histogram:bins,range hsplit:indices_or_sections hstack hypot i0 imag
        inner isclose:equal_nan isfinite isinf isnan isneginf isposinf isreal kron lcm ldexp
        left_shift less less_equal linspace:num,endpoint,retstep,dtype,axis log log10 log1p log2
        logaddexp logaddexp2 logical_and logical_not logical_or logical_xor
        logspace:num,endpoint,base,dtype,axis matmul max:axis,keepdims,initial maximum
        mean:axis,keepdims median:axis,keepdims meshgrid:indexing min:axis,keepdims,initial minimum
        mod moveaxis:source,destination multiply nan_to_num:nan,posinf,neginf
        nanargmax:axis,keepdims nanargmin:axis,keepdims nancumprod:axis,dtype nancumsum:axis,dtype
        nanmax:axis,keepdims nanmean:axis,keepdims nanmedian:axis,keepdims nanmin:axis,keepdims
        nanpercentile:axis,method,keepdims nanprod:axis,keepdims nanquantile:axis,method,keepdims
        nanstd:axis,keepdims nansum:axis,keepdims nanvar:axis,keepdims ndim negative nextafter
        nonzero not_equal ones_like:dtype outer pad:pad_width,mode percentile:axis,method,keepdims
        power prod:axis,keepdims,dtype ptp:axis,keepdims quantile:axis,method,keepdims rad2deg ravel
        real reciprocal repeat:repeats,axis reshape:newshape right_shift roll:shift,axis
        rot90:k,axes round:decimals select sign signbit sin sinc sinh size slogdet sort:axis
        split:indices_or_sections,axis sqrt square squeeze:axis stack:axis std:axis,keepdims
        subtract sum:axis,keepdims swapaxes:axis1,axis2 take:axis take_along_axis:axis tan tanh
        tensordot:axes tile:repeats trace:offset,axis1,axis2 transpose:axes trapezoid:x,dx,axis
        tril:k triu:k true_divide trunc
        unique:sorted,return_index,return_inverse,return_counts,axis,size,fill_value
        unravel_index:shape vander:N,increasing var:axis,keepdims vdot vsplit:indices_or_sections
        vstack where zeros_like:dtype
    """,
    "nn": """
        binary_crossentropy:from_logits categorical_crossentropy:from_logits,axis celu:alpha
        dot_product_attention:is_causal,flash_attention,attn_logits_soft_cap elu:alpha
        gelu:approximate glu:axis hard_shrink:threshold hard_sigmoid hard_silu hard_tanh
        leaky_relu:negative_slope log_sigmoid log_softmax:axis moments:axes,keepdims,synchronized
        multi_hot:num_classes,axis,dtype,sparse normalize:axis,order,epsilon
        one_hot:num_classes,axis,dtype,sparse relu relu6 selu sigmoid silu soft_shrink:threshold
        softmax:axis softplus softsign sparse_categorical_crossentropy:from_logits,axis sparse_plus
        sparse_sigmoid sparsemax:axis squareplus:b tanh_shrink threshold:threshold,default_value
    """,
    "math": """
        erf erfc erfinv in_top_k:k logdet logsumexp:axis,keepdims rsqrt
        segment_max:num_segments,sorted segment_min:num_segments,sorted
        segment_prod:num_segments,sorted segment_sum:num_segments,sorted top_k:k,sorted
    """,
    "linalg": """
        cholesky:upper cholesky_inverse:upper det eig eigh inv lstsq:rcond matrix_rank:tol
        norm:ord,axis,keepdims pinv:rcond qr:mode solve solve_triangular:lower
    """,
    "core": """
        cast:dtype cond convert_to_tensor:dtype,sparse,ragged fori_loop:lower,upper,body_fun map
        saturate_cast:dtype scan:length,reverse,unroll scatter:shape scatter_update:reduction
        slice:shape slice_update stop_gradient switch unstack:num,axis vectorized_map:function
        while_loop:cond,body,maximum_iterations
    """,
}
PACKAGE = "keras.src.ops."
OPS: dict[str, tuple[str, tuple[str, ...]]] = {}
"""The module of each op's class, and the names of its settings."""

for _module, _text in _CLASSES.items():
    for _word in _text.split():
        _name, _, _settings = _word.partition(":")
        OPS[_name] = PACKAGE + _module, tuple(filter(None, _settings.split(",")))


def is_op(entry: dict[str, Any]) -> bool:
    """Whether a config is that of an op in a graph of Keras, whatever else is called so.

    In ``.h5`` files no module tells; there an op has none of the settings of all layers.
    """
    if "module" in entry:
        return str(entry["module"]).startswith(PACKAGE)
    config = entry.get("config")
    bare = isinstance(config, dict) and "trainable" not in config
    return bare and "inbound_nodes" in entry and to_snake_case(str(entry["class_name"])) in OPS
