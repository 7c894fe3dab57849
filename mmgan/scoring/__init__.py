"""Scores of generated images: IS, FID, KID, precision and recall through torch-fidelity's formulas."""

from mmgan.scoring.entry import metric_names, score_entry
from mmgan.scoring.extractors import Extractor, Features, NetworkExtractor, state_digest
from mmgan.scoring.folders import open_folder, open_images
from mmgan.scoring.frechet import Moments, frechet_distance, moments
from mmgan.scoring.image_sets import ImageSet
from mmgan.scoring.inception import InceptionExtractor, find_inception_weights
from mmgan.scoring.reference import real_features
from mmgan.scoring.registry import SOURCES, extractor_source
from mmgan.scoring.samples import Generate, NonFiniteSamples, image_source, images_of, latents, quantise
from mmgan.scoring.scores import Reference, Scores, ScoreSettings, inception_score, score_features
from mmgan.scoring.set_scores import SetScores, score_folders, score_sets
from mmgan.scoring.sharding import ALONE, Processes, extract

__all__ = [
    "ALONE",
    "SOURCES",
    "Extractor",
    "Features",
    "Generate",
    "ImageSet",
    "InceptionExtractor",
    "Moments",
    "NetworkExtractor",
    "NonFiniteSamples",
    "Processes",
    "Reference",
    "ScoreSettings",
    "Scores",
    "SetScores",
    "extract",
    "extractor_source",
    "find_inception_weights",
    "frechet_distance",
    "image_source",
    "images_of",
    "inception_score",
    "latents",
    "metric_names",
    "moments",
    "open_folder",
    "open_images",
    "quantise",
    "real_features",
    "score_entry",
    "score_features",
    "score_folders",
    "score_sets",
    "state_digest",
]
