"""U4 and U5 of the paper: what is learnt of objects, from many regions and from few."""

from ml_collections import ConfigDict

# What topics of Dollar Street are called in COCO.
STREET_OBJECTS = (
    "bed", "book", "bowl", "car", "cup", "sink", "motorcycle", "oven", "refrigerator", "couch",
    "tv", "toilet", "toothbrush", "clock",
)  # fmt: skip
# The 200 classes of ImageNet's detection subset. The files of its development kit have the last
# word: a name that they spell otherwise is refused with the nearest of theirs.
_DETECTED = """
    accordion, airplane, ant, antelope, apple, armadillo, artichoke, axe, baby bed, backpack,
    bagel, balance beam, banana, band aid, banjo, baseball, basketball, bathing cap, beaker,
    bear, bee, bell pepper, bench, bicycle, binder, bird, bookshelf, bow, bow tie, bowl,
    brassiere, burrito, bus, butterfly, camel, can opener, car, cart, cattle, cello,
    centipede, chain saw, chair, chime, cocktail shaker, coffee maker, computer keyboard,
    computer mouse, corkscrew, cream, croquet ball, crutch, cucumber, cup or mug, diaper,
    digital clock, dishwasher, dog, domestic cat, dragonfly, drum, dumbbell, electric fan,
    elephant, face powder, fig, filing cabinet, flower pot, flute, fox, french horn, frog,
    frying pan, giant panda, goldfish, golf ball, golfcart, guacamole, guitar, hair dryer,
    hair spray, hamburger, hammer, hamster, harmonica, harp, hat with a wide brim, head
    cabbage, helmet, hippopotamus, horizontal bar, horse, hotdog, iPod, isopod, jellyfish,
    koala bear, ladle, ladybug, lamp, laptop, lemon, lion, lipstick, lizard, lobster, maillot,
    maraca, microphone, microwave, milk can, miniskirt, monkey, motorcycle, mushroom, nail,
    neck brace, oboe, orange, otter, pencil box, pencil sharpener, perfume, person, piano,
    pineapple, ping-pong ball, pitcher, pizza, plastic bag, plate rack, pomegranate, popsicle,
    porcupine, power drill, pretzel, printer, puck, punching bag, purse, rabbit, racket, ray,
    red panda, refrigerator, remote control, rubber eraser, rugby ball, ruler, salt or pepper
    shaker, saxophone, scorpion, screwdriver, seal, sheep, ski, skunk, snail, snake,
    snowmobile, snowplow, soap dispenser, soccer ball, sofa, spatula, squirrel, starfish,
    stethoscope, stove, strainer, strawberry, stretcher, sunglasses, swimming trunks, swine,
    syringe, table, tape player, tennis ball, tick, tie, tiger, toaster, traffic light, train,
    trombone, trumpet, turtle, tv or monitor, unicycle, vacuum, violin, volleyball, waffle
    iron, washer, water bottle, watercraft, whale, wine bottle, zebra
    """
DETECTED = tuple(" ".join(name.split()) for name in _DETECTED.split(","))


def objects(config: ConfigDict, arg: str) -> None:
    """U4 and U5: what is learnt of objects, by a base of many regions and one of ImageNet."""
    if arg == "faces":
        config.data.name = "objects"
        config.data.image_size = 32
        config.data.splits = {
            "all": {"pretrain": 0.4, "finetune": 0.2, "validation": 0.1, "test": 0.3}
        }
        config.classes = ("object",)
        sources = ("catalogue", "home")
        config.bases = {
            name.capitalize(): {
                "role": "studied",
                "target": "object",
                "curation": "natural",
                "without": (f"source={other}",),
            }
            for name, other in zip(sources, sources[::-1], strict=True)
        }
        config.pretrain.n = 2000
        config.group.update(column="source", values=sources, names=sources)
    else:
        config.data.name = "mix"
        names = {"geode": "geode", "imagenet_det": "imagenet_det"}
        names |= {"coco": "coco2017", "dollar_street": "dollar_street"}
        config.data.sources = {
            name: {"name": reader, "path": f"data/{name}"} for name, reader in names.items()
        }
        config.data.splits = {
            "geode/all": {"pretrain": 0.8, "validation": 0.2},
            "imagenet_det/train": {"pretrain": 1.0},
            "imagenet_det/val": {"validation": 1.0},
            "coco/train": {"finetune": 0.8, "validation": 0.2},
            "coco/val": {"test": 1.0},
            "dollar_street/all": {"finetune": 0.4, "validation": 0.1, "test": 0.5},
        }
        config.labels = {"objects": STREET_OBJECTS}
        config.bases = {
            "GeoDE": {"role": "studied", "target": "object", "curation": "natural"},
            "ImageNet": {
                "role": "studied",
                "target": DETECTED[0],
                "also": DETECTED[1:],
                "curation": "natural",
            },
        }
        values = ("coco", "dollar_street")
        config.group.update(column="source", values=values, names=("COCO", "Dollar Street"))
    config.groupings = {
        "income bin": {"column": "income_bin"},
        "region": {"column": "region"},
    }
