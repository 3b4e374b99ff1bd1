"""Pictures under their old names: `keras.preprocessing.image`."""

from rnn_engine.lazy import lazily
from rnn_engine.utils.pictures import array_to_img, img_to_array, load_img, save_img

__getattr__ = lazily(__name__, {})

__all__ = ["array_to_img", "img_to_array", "load_img", "save_img"]
