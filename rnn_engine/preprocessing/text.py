"""Texts to lists of numbers, in Keras 2's way: `keras.preprocessing.text`.

`rnn_engine.layers.TextVectorization` is today's way, which stands in the model itself.
"""

import hashlib
import json
import warnings
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

_FILTERS = '!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n'


def text_to_word_sequence(
    input_text: str, filters: str = _FILTERS, lower: bool = True, split: str = " "
) -> list[str]:
    """Return the words of a text, the characters in `filters` taken as `split`.

    Mirrors `keras.preprocessing.text.text_to_word_sequence` of Keras 2.

    Examples
    --------
    >>> text_to_word_sequence("The cat, the dog.")
    ['the', 'cat', 'the', 'dog']
    """
    if lower:
        input_text = input_text.lower()
    blanks: Any = dict.fromkeys(filters, split)
    spaced = input_text.translate(str.maketrans(blanks))
    return [word for word in spaced.split(split) if word]


def one_hot(
    input_text: str,
    n: int,
    filters: str = _FILTERS,
    lower: bool = True,
    split: str = " ",
    analyzer: Callable[[str], Any] | None = None,
) -> list[int]:
    """Return a number from 1 to n - 1 for each word, by Python's `hash`.

    Mirrors `keras.preprocessing.text.one_hot` of Keras 2. Two words may share a number, and
    Python hashes texts otherwise in each process: `hashing_trick` with ``"md5"`` does not.
    """
    return hashing_trick(input_text, n, hash, filters, lower, split, analyzer)


def hashing_trick(
    text: str,
    n: int,
    hash_function: Any = None,
    filters: str = _FILTERS,
    lower: bool = True,
    split: str = " ",
    analyzer: Callable[[str], Any] | None = None,
) -> list[int]:
    """Return a number from 1 to n - 1 for each word, by a hash function.

    Mirrors `keras.preprocessing.text.hashing_trick` of Keras 2.

    Parameters
    ----------
    text : str
    n : int
        Numbers are below it; 0 is none of them.
    hash_function : callable or "md5", optional
        Python's `hash`, which differs from process to process, if None.
    filters, lower, split
        See `text_to_word_sequence`.
    analyzer : callable, optional
        Returns the words of a text instead.

    Examples
    --------
    >>> hashing_trick("one two one", 50, "md5")
    [9, 19, 9]
    """
    number: Callable[[str], int] = hash if hash_function is None else hash_function
    if hash_function == "md5":
        number = _md5
    words = text_to_word_sequence(text, filters, lower, split) if analyzer is None else None
    return [number(word) % (n - 1) + 1 for word in (analyzer(text) if analyzer else words or [])]


def _md5(word: str) -> int:
    return int(hashlib.md5(word.encode(), usedforsecurity=False).hexdigest(), 16)


class Tokenizer:
    """Texts to lists of numbers, by how frequent the words are, and back.

    Mirrors `keras.preprocessing.text.Tokenizer` of Keras 2.

    Parameters
    ----------
    num_words : int, optional
        Only the ``num_words - 1`` most frequent words get a number in a list.
    filters, lower, split
        See `text_to_word_sequence`.
    char_level : bool
        Characters are the words.
    oov_token : str, optional
        Word number 1, which stands for the others.
    analyzer : callable, optional
        Returns the words of a text.
    **kwargs
        `document_count`, and `nb_words` with a warning.

    Attributes
    ----------
    word_counts, word_docs : dict
        How often a word came, and in how many texts.
    word_index, index_word : dict
        Numbers of words, from 1 on, and words of numbers.
    index_docs : dict
        In how many texts the word of a number came.
    document_count : int

    Examples
    --------
    >>> tokenizer = Tokenizer(oov_token="?")
    >>> tokenizer.fit_on_texts(["the cat", "the dog"])
    >>> tokenizer.texts_to_sequences(["the dog barks"])
    [[2, 4, 1]]
    """

    def __init__(
        self,
        num_words: int | None = None,
        filters: str = _FILTERS,
        lower: bool = True,
        split: str = " ",
        char_level: bool = False,
        oov_token: str | None = None,
        analyzer: Callable[[str], Any] | None = None,
        **kwargs: Any,
    ) -> None:
        if "nb_words" in kwargs:
            warnings.warn(
                "The `nb_words` argument in `Tokenizer` has been renamed `num_words`.", stacklevel=2
            )
            num_words = kwargs.pop("nb_words")
        self.document_count = kwargs.pop("document_count", 0)
        if kwargs:
            raise TypeError(f"Unrecognized keyword arguments: {kwargs}")
        self.num_words = num_words
        self.filters = filters
        self.lower = lower
        self.split = split
        self.char_level = char_level
        self.oov_token = oov_token
        self.analyzer = analyzer
        self.word_counts: dict[str, int] = OrderedDict()
        self.word_docs: dict[str, int] = defaultdict(int)
        self.index_docs: dict[int, int] = defaultdict(int)
        self.word_index: dict[str, int] = {}
        self.index_word: dict[int, str] = {}

    def _words(self, text: Any) -> Any:
        """Return the words of a text; a list is one of words."""
        if self.char_level or isinstance(text, list):
            if not self.lower:
                return text
            return [w.lower() for w in text] if isinstance(text, list) else text.lower()
        if self.analyzer is not None:
            return self.analyzer(text)
        return text_to_word_sequence(text, self.filters, self.lower, self.split)

    def fit_on_texts(self, texts: Iterable[Any]) -> None:
        """Count the words of texts, and number them anew.

        Parameters
        ----------
        texts : iterable of str, or of lists of words
        """
        for text in texts:
            self.document_count += 1
            words = self._words(text)
            for word in words:
                self.word_counts[word] = self.word_counts.get(word, 0) + 1
            for word in set(words):
                self.word_docs[word] += 1
        # Equally frequent words keep the order in which they came.
        ordered = sorted(self.word_counts, key=lambda word: -self.word_counts[word])
        first = [] if self.oov_token is None else [self.oov_token]
        self.word_index = {word: number for number, word in enumerate([*first, *ordered], 1)}
        self.index_word = {number: word for word, number in self.word_index.items()}
        for word, count in self.word_docs.items():
            self.index_docs[self.word_index[word]] = count

    def fit_on_sequences(self, sequences: Any) -> None:
        """Count in how many lists of numbers each number is, for `sequences_to_matrix`."""
        self.document_count += len(sequences)
        for sequence in sequences:
            for number in set(sequence):
                self.index_docs[number] += 1

    def texts_to_sequences(self, texts: Iterable[Any]) -> list[list[int]]:
        """Return a list of numbers for each text; unknown words are left out, or `oov_token`."""
        return list(self.texts_to_sequences_generator(texts))

    def texts_to_sequences_generator(self, texts: Iterable[Any]) -> Iterator[list[int]]:
        """Yield what `texts_to_sequences` returns, text by text."""
        unknown = None if self.oov_token is None else self.word_index.get(self.oov_token)
        for text in texts:
            numbers = (self._frequent(self.word_index.get(w), unknown) for w in self._words(text))
            yield [number for number in numbers if number is not None]

    def _frequent(self, number: int | None, unknown: int | None) -> int | None:
        """Return the number of a word that counts, else `unknown`."""
        rare = number is None or (self.num_words and number >= self.num_words)
        return unknown if rare else number

    def sequences_to_texts(self, sequences: Iterable[Any]) -> list[str]:
        """Return the words of lists of numbers, with a blank between them."""
        return list(self.sequences_to_texts_generator(sequences))

    def sequences_to_texts_generator(self, sequences: Iterable[Any]) -> Iterator[str]:
        """Yield what `sequences_to_texts` returns, list by list."""
        unknown = None if self.oov_token is None else self.word_index.get(self.oov_token)
        for sequence in sequences:
            known = (n if n in self.index_word else None for n in sequence)
            numbers = (self._frequent(number, unknown) for number in known)
            yield " ".join(self.index_word[n] for n in numbers if n is not None)

    def texts_to_matrix(self, texts: Iterable[Any], mode: str = "binary") -> np.ndarray:
        """Return (texts, numbers); see `sequences_to_matrix`."""
        return self.sequences_to_matrix(self.texts_to_sequences(texts), mode=mode)

    def sequences_to_matrix(self, sequences: Any, mode: str = "binary") -> np.ndarray:
        """Return which numbers each list holds, (lists, numbers) in float64.

        Parameters
        ----------
        sequences : list of lists of int
        mode : {"binary", "count", "freq", "tfidf"}
            Whether, how often, in what share, or weighed by how few texts have the word.

        Raises
        ------
        ValueError
            If the number of words is unknown, `mode` too, or nothing was counted for "tfidf".
        """
        if mode not in ("binary", "count", "freq", "tfidf"):
            raise ValueError("Unknown vectorization mode:", mode)
        if not self.num_words and not self.word_index:
            raise ValueError(
                "Specify a dimension (`num_words` argument), or fit on some text data first."
            )
        if mode == "tfidf" and not self.document_count:
            raise ValueError("Fit the Tokenizer on some data before using tfidf mode.")
        columns = self.num_words or len(self.word_index) + 1
        matrix = np.zeros((len(sequences), columns))
        for row, sequence in zip(matrix, sequences, strict=True):
            counts = Counter(number for number in sequence if number < columns)
            for number, count in counts.items():
                row[number] = self._weight(number, count, len(sequence), mode)
        return matrix

    def _weight(self, number: int, count: int, length: int, mode: str) -> float:
        if mode == "count":
            return count
        if mode == "freq":
            return count / length
        if mode == "binary":
            return 1.0
        rarity = 1 + self.document_count / (1 + self.index_docs.get(number, 0))
        return float((1 + np.log(count)) * np.log(rarity))

    def get_config(self) -> dict[str, Any]:
        """Return the settings and all that was counted, the dicts as JSON."""
        counted = ("word_counts", "word_docs", "index_docs", "index_word", "word_index")
        return {
            "num_words": self.num_words,
            "filters": self.filters,
            "lower": self.lower,
            "split": self.split,
            "char_level": self.char_level,
            "oov_token": self.oov_token,
            "document_count": self.document_count,
            **{name: json.dumps(getattr(self, name)) for name in counted},
        }

    def to_json(self, **kwargs: Any) -> str:
        """Return the config as JSON, which `tokenizer_from_json` reads."""
        return json.dumps({"class_name": "Tokenizer", "config": self.get_config()}, **kwargs)


def tokenizer_from_json(json_string: str) -> Tokenizer:
    """Return the tokenizer of `Tokenizer.to_json`; of Keras's, too.

    Mirrors `keras.preprocessing.text.tokenizer_from_json` of Keras 2.

    Raises
    ------
    ValueError
        If it is not that of a tokenizer.
    """
    try:
        config = dict(json.loads(json_string)["config"])
        words = {name: json.loads(config.pop(name)) for name in _BY_WORD}
        numbers = {name: json.loads(config.pop(name)) for name in _BY_NUMBER}
    except (TypeError, KeyError, ValueError) as error:
        raise ValueError(
            f"json_string must be what Tokenizer.to_json returned; reading it failed with "
            f"{type(error).__name__}: {error}"
        ) from error
    tokenizer = Tokenizer(**config)
    tokenizer.word_counts = OrderedDict(words["word_counts"])
    tokenizer.word_index = words["word_index"]
    tokenizer.word_docs.update(words["word_docs"])
    tokenizer.index_docs.update({int(n): count for n, count in numbers["index_docs"].items()})
    tokenizer.index_word = {int(n): word for n, word in numbers["index_word"].items()}
    return tokenizer


_BY_WORD = ("word_counts", "word_docs", "word_index")
_BY_NUMBER = ("index_docs", "index_word")
