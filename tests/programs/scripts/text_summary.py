"""What summary prints, for a built model and for one that is not."""

from tensorflow import keras


def build():
    return keras.Sequential(
        [
            keras.layers.Embedding(100, 8, input_shape=(10,), name="words"),
            keras.layers.SimpleRNN(16, return_sequences=True, name="first"),
            keras.layers.SimpleRNN(4, name="second"),
            keras.layers.Dense(1, name="answer"),
        ],
        name="printed",
    )


model = build()
model.summary()
model.get_layer("words").trainable = False
model.summary(show_trainable=True, line_length=80)
inner = keras.Sequential([keras.layers.SimpleRNN(3, name="a_layer_with_a_very_long_name_indeed")],
                         name="inner")  # fmt: skip
outer = keras.Sequential(
    [keras.Input((4, 2)), keras.layers.Bidirectional(keras.layers.SimpleRNN(
        2, return_sequences=True, name="b"), name="both"), inner, keras.layers.Dense(2, name="d")],
    name="outer",
)  # fmt: skip
outer.compile("adam", "mse")
outer.summary(expand_nested=True)
outer.summary(line_length=60, positions=[0.5, 0.75, 1.0], layer_range=("both", "inner"))
lines = []
keras.Sequential([keras.layers.SimpleRNN(3, name="a")], name="empty").summary(print_fn=lines.append)
print(*lines)
