"""Differentiation of what users write: the package `autograd`, loaded when first needed.

The layers and losses of the library have their backward by hand. What a user writes, a
`call` of a layer, a loss that is a function, the steps below a `GradientTape`, is recorded
by `autograd` (HIPS), an extra of the installation, and each layer or loss of the library
in it is one step of the record.
"""
