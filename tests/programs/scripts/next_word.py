"""The next word of a text: TextVectorization, an embedding, a softmax over the words."""

import numpy as np
from tensorflow import keras
from tensorflow.keras.layers import Dense, Embedding, SimpleRNN, TextVectorization

corpus = [
    "the cat sat on the mat",
    "the dog sat on the rug",
    "a cat and a dog played on the mat",
    "the cat chased the dog",
]
vectorizer = TextVectorization(max_tokens=20, output_mode="int", output_sequence_length=6)
vectorizer.adapt(corpus)
words = vectorizer.get_vocabulary()
tokens = np.array(vectorizer(corpus))

inputs, targets = [], []
for line in tokens:
    for end in range(1, 5):
        if line[end]:
            inputs.append(line[:end])
            targets.append(line[end])
inputs = keras.utils.pad_sequences(inputs, maxlen=5)
targets = np.array(targets)
one_hot = keras.utils.to_categorical(targets, num_classes=len(words))


def build():
    model = keras.Sequential(name="words")
    model.add(keras.Input(shape=(5,), dtype="int32"))
    model.add(Embedding(len(words), 8, mask_zero=True))
    model.add(SimpleRNN(16))
    model.add(Dense(len(words), activation="softmax"))
    return model


model = build()
model.compile(loss="categorical_crossentropy", optimizer="adam", metrics=["accuracy"])
history = model.fit(inputs, one_hot, epochs=5, batch_size=64, verbose=0)

seed = np.array(vectorizer(["the cat"]))[:, :2]
sentence = "the cat"
for _ in range(3):
    padded = keras.utils.pad_sequences(seed, maxlen=5)
    best = int(np.argmax(model.predict(padded, verbose=0), axis=-1)[0])
    sentence += " " + words[best]
    seed = np.append(seed, [[best]], axis=1)
print(sentence)
