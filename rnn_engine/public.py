"""What `dir` and completion show of an object: what programs use, not how it is done."""

from collections.abc import Iterable

_NAMES = """
    activated arguments_config back backward_below backward_from_logits backward_with_penalty
    bias_shape bind build_from_data build_shape call_arguments check_input check_shapes
    check_targets checked_output_shape clear_losses compile_kernels convert create_weights
    disturb draw draw_factors drops evaluate_generator features fit_generator
    forward_with_mask gates get_gradients given_batch_shape gradient_like halved has_penalties
    initial_bias initial_states input_argument input_by_name
    is_activation_layer keep_states kernel_dtype
    kernel_name note_losses notes_losses passes_penalties
    logits_form logits_of logits_path lr masks_beside_options mixes_rows nested_outputs
    output_dtype own_variables packed path_prefix penalties predict_classes predict_generator
    predict_proba quantize regularization returns_input runs_in_kernels saves_on_demand
    several_inputs shape_for state_shapes state_sizes step_mask sublayers symbolic_call
    symbolic_recurrence takes_integers takes_strings tells_shapes to_yaml training_interrupted
    update_masked warn_of_mask
"""
_INTERNAL = frozenset(_NAMES.split())


def public(names: Iterable[str]) -> list[str]:
    """Return the names without those of the engine's inner works, special ones included."""
    return sorted(
        name
        for name in set(names)
        if name not in _INTERNAL and (name.startswith("__") or not name.startswith("_"))
    )


def described(value: object, arguments: dict[str, object]) -> str:
    """Return ``Adam(learning_rate=0.1)`` of what `get_config` says, without what is off."""
    shown = [
        f"{name}={argument!r}"
        for name, argument in arguments.items()
        if argument is not None and argument is not False
    ]
    return f"{type(value).__name__}({', '.join(shown)})"
