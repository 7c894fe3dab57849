"""Measures of the paper, each a function of tensors, callables or numbers; nothing here knows a trainer.

A classifier is a callable, images (N, C, H, W) in [-1, 1] -> logits (N, classes). Where it is an `nn.Module`, the
measures run it in evaluation mode and then restore the mode of every module.

    accuracy      test error, top-k error, negative log-likelihood
    calibration   reliability curve, expected calibration error
    knn           error of k nearest neighbours on features
    adversarial   FGSM, PGD, and the unbounded sanity check
    deformations  rotations, shears and zooms of Table 9
    spectra       singular values of representations, a class at a time and overall
    activations   the output of a named layer
    seeds         paired differences over seeds
    plots         PNGs of the above
    evaluate      all of it for one classifier
"""
