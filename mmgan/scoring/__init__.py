"""Scores of generated images: IS, FID, KID, precision and recall through torch-fidelity's formulas."""

from mmgan.scoring.entry import metric_names, score_entry
from mmgan.scoring.extractors import Extractor, Features, NetworkExtractor, state_digest
from mmgan.scoring.folders import image_paths, image_reader, score_folders
from mmgan.scoring.frechet import Moments, frechet_distance, moments
from mmgan.scoring.inception import InceptionExtractor, find_inception_weights
from mmgan.scoring.reference import real_features
from mmgan.scoring.registry import SOURCES, extractor_source
from mmgan.scoring.samples import Generate, NonFiniteSamples, image_source, images_of, latents, quantise
from mmgan.scoring.scores import Reference, Scores, ScoreSettings, inception_score, score_features
from mmgan.scoring.sharding import ALONE, Processes, extract

__all__ = [
    "ALONE",
    "SOURCES",
    "Extractor",
    "Features",
    "Generate",
    "InceptionExtractor",
    "Moments",
    "NetworkExtractor",
    "NonFiniteSamples",
    "Processes",
    "Reference",
    "ScoreSettings",
    "Scores",
    "extract",
    "extractor_source",
    "find_inception_weights",
    "frechet_distance",
    "image_paths",
    "image_reader",
    "image_source",
    "images_of",
    "inception_score",
    "latents",
    "metric_names",
    "moments",
    "quantise",
    "real_features",
    "score_entry",
    "score_features",
    "score_folders",
    "state_digest",
]
