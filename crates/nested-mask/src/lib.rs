//! Masks and training of nested sparse ConvNets.
