"""Why a name of Keras is absent, and what is different on purpose; see `reference.parity`."""

_PICTURES = "pictures and volumes beyond what stands before a recurrent layer"
_QUANTIZED = "no quantized arithmetic: kernels are float32 and float64"

# Whole modules.
MODULES = {
    "applications": "ready-made picture networks, and their weights",
    "distillation": "not written",
    "distribution": "one device a process; over processes `rnn_engine.distributed`, docs/scale.md",
    "export": "SavedModel is TensorFlow's; `model.save` writes `.keras` and `.npz`, "
    "`model.export` a C library",
    "legacy": "reads files of Keras 2 as SavedModel",
    "quantizers": _QUANTIZED,
    "visualization": _PICTURES,
    "wrappers": "not written",
}

# Patterns of full names, the first that fits counts.
_RARE = "not written: no recurrent program that was looked at needs it"
NAMES: dict[str, str] = {
    "Function": "a `Model` is its own graph",
    r"backend\..*": "use `np.result_type`",
    "config.enable_unsafe_deserialization": "files never run code here",
    "config.is_nnx_enabled": "about another backend",
    r"config\.(set_)?max_.*": "pass `epochs` and `steps_per_epoch`",
    r"dtype_policies\..*": _QUANTIZED,
    "layers.HashedCrossing": "not written; `Hashing` of text or numbers that are put together",
    "layers.Pipeline": "preprocessing layers stand in a `Sequential`",
    r"ops\.(linalg|nn|numpy)": "the functions stand in `ops` itself",
    r"ops\..*(conv|pool).*": "use the layers of that name",
    r"ops\.(jvp|associative_scan)": "autograd goes backwards only",
    "saving.KerasFileEditor": "not written",
    r".*": _RARE,
}

# What the arguments do not tell.
DIFFERENT = {
    "losses.CTC": "infinite where the time is too short for the labels, not about 700",
    "ops.ctc_loss": "infinite where the time is too short for the labels, not about 700",
    **dict.fromkeys(
        ("random.normal", "random.uniform", "random.truncated_normal", "random.randint",
         "random.shuffle", "random.categorical", "random.gamma", "random.beta", "random.binomial",
         "random.dropout", "random.SeedGenerator"),
        "our own stream of numbers, not Keras's bits",
    ),
    "layers.MultiHeadAttention": "an explicit `query_mask` counts, which Keras 3.15 overwrites",
    "layers.GRU": "an infinite candidate gives NaN",
    "layers.TextVectorization": "text is Python's, not bytes",
    "models.clone_model": "layers shared inside containers stay shared",
    "callbacks.BackupAndRestore": "resumes from any batch to the bit",
    "mixed_precision.LossScaleOptimizer": "gradients are float32, which no scale changes",
}  # fmt: skip
