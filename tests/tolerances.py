"""Every tolerance of the suite, with its reason.

Those of forward values and gradients come from `reference.compare`: an error is
divided by the size of the quantity, which includes what its sums amplify.
"""

from reference.compare import FACTOR, TRAINING, knowable, relative_error, roundoff, tolerance

__all__ = [
    "DIFFERENCE_STEP",
    "FACTOR",
    "FINITE_DIFFERENCE",
    "GRADIENTS_64",
    "PER_KERAS_PROPERTY",
    "PREDICTIONS",
    "TRAINING",
    "knowable",
    "relative_error",
    "roundoff",
    "tolerance",
]

# float64 gradients against Keras and the oracle, by the largest of an array.
GRADIENTS_64 = 1e-12

# Predictions after training, by the largest of them: what TRAINING allows the weights.
PREDICTIONS = TRAINING

# Central differences of step d err by d^2 f'''/6 plus roundoff/d: with d = 1e-6 in
# float64 both are below 1e-9 of values near one; steep functions need the rest.
DIFFERENCE_STEP = 1e-6
FINITE_DIFFERENCE = 1e-6

# An example that runs TensorFlow costs some hundred times one that does not, so
# such properties take this share of the profile's examples.
PER_KERAS_PROPERTY = 0.4
