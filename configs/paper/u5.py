"""U5: how much of a region's own photographs makes up for a base that was not pretrained on any?

jaxbias run --config=configs/paper/u5.py --workdir=OUT --config.data.sources.geode.path=GEODE
jaxbias run --config=configs/paper/u5.py:faces --workdir=OUT   # on built-in objects, in minutes

GEODE and, by the same setting of the other sources, imagenet_det, coco and dollar_street are where
those data lie. One base was pretrained on GeoDE, one on ImageNet's detection subset (U4, u4.py).
Both are finetuned on 128 images, of which 0 to 100 % are Dollar Street's and the rest COCO's, and
tested on both; on Dollar Street by income and region too. The test images of COCO are its
validation split, those of Dollar Street half of it.

On built-in objects homes stand in for Dollar Street and GeoDE, and catalogues for COCO and
ImageNet; each base has seen one of the two alone, and a picture shows one object.
"""

from ml_collections import ConfigDict

from jaxbias.study import geography, paper


def get_config(arg: str = "") -> ConfigDict:
    config = paper.start("u5", arg)
    geography.objects(config, arg)
    config.curations.source_mix.levels = paper.LEVELS
    config.finetune.epochs = 25
    config.finetune.n = (128,)
    return paper.finish(config, arg)
