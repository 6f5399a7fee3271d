"""What ImageNet-1k's labels say about waste: the classes whose category is beyond doubt.

Left out on purpose: what is worn by people in portraits (suit, tie, uniform), what is alive,
what may be two things (a mask, a bucket of metal), and any claim to clear PET, which pixels at
this size cannot tell from a coloured bottle.
"""

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

IMAGENET_CLASSES: Final = 1000

INDICES: Final[Mapping[str, tuple[int, ...]]] = {
    # water bottle, soda bottle, water jug, lotion, sunscreen
    "plastic": (898, 737, 899, 631, 838),
    # plastic bag, packet
    "film": (728, 692),
    # envelope, comic book, dust jacket, menu, crossword
    "paper": (549, 917, 921, 922, 918),
    # carton
    "cardboard": (478,),
    # beer bottle, wine bottle, whiskey jug
    "glass": (440, 907, 901),
    # milk can, hair spray; frying pan, wok, hammer, screwdriver
    "metal": (653, 585, 567, 909, 587, 784),
    # phone, keyboards, fan, espresso machine, hair dryer, iron, notebooks, microwave, mouse,
    # refrigerator, remote control, space heater, television, toaster, vacuum cleaner, washing
    # machine, desktop computer, dial telephone, dishwasher, iPod, speaker, modem, monitors,
    # photocopier, printer, radio, tape player, table lamp
    "ewaste": (
        *(487, 508, 878, 545, 550, 589, 606, 620, 681, 651, 673, 760, 761, 811, 851, 859, 882),
        *(897, 527, 528, 534, 605, 632, 662, 664, 782, 713, 742, 754, 848, 846),
    ),
    # cardigan, jeans, T-shirt, sneaker, sock, sweatshirt, boot, mitten, slip-on shoe, sandal
    "textile": (474, 608, 610, 770, 806, 841, 514, 658, 630, 774),
    # bread, pretzel, burger, hot dog, mashed potatoes, vegetables, fruit, pasta, meat loaf, pizza,
    # pie, burrito, guacamole, maize
    "food": (*range(930, 946), *range(948, 956), 957, 959, 962, 963, 964, 965, 924, 987),
    # toilet paper, paper towel, nappy
    "general": (999, 700, 529),
    # vase, soup bowl, plate, coffee mug, teapot, tea cup
    "incombustible": (883, 809, 923, 504, 849, 968),
    # couch, bookcase, chiffonier, cot, desk, dining table, filing cabinet, folding chair,
    # four-poster, rocking chair, wardrobe, quilt, bicycles
    "bulky": (831, 453, 493, 520, 526, 532, 553, 559, 564, 765, 894, 750, 444, 671),
}


def category_likelihoods(likelihoods: NDArray[np.float32]) -> dict[str, float]:
    """Sums ImageNet's likelihoods [1000] by category; the rest, up to 1, is none of ours."""
    return {
        category: float(likelihoods[list(indices)].sum()) for category, indices in INDICES.items()
    }
