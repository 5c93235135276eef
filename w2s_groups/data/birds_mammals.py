"""Bird or mammal on land or water: cut-outs and photographs that Debian packages carry."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from w2s_groups.data.base import ImageDataset
from w2s_groups.data.card import card
from w2s_groups.data.compositing.dataset import Settings, compose
from w2s_groups.data.compositing.sources import n_pictures
from w2s_groups.data.files.cache import Progress, silent
from w2s_groups.data.files.debian import fetch, versions
from w2s_groups.design.groups import Groups

_STAMPS = "usr/share/tuxpaint/stamps/animals"
_TEMPLATES = "usr/share/tuxpaint/templates"
_NATURE = "usr/share/backgrounds/mate/nature"
_WALLPAPERS = "usr/share/wallpapers"

# Photographs only. Left out as drawings, silhouettes or toys: everything under cartoon/, hedgehog,
# echidna, kangaroo-silo, edward_bear. "*" where releases keep the file in different sub-folders.
_BIRDS = """adelaide-rosella albino_peahen blackbird chicken_profile crow crowned_crane cuckoo drake
duck gander guineafowl helmeted_guineafowl hen heron_greatblue heron_greatblue_flying lark
little-penguin magellanic_penguin magpie nandou ostrich owl peacock pelican penguin pigeon
pink_flamingo quetzal rainbow-lorikeet rooster seagull silver-gull tucan turkey vulture"""
_MAMMALS = """mammals/apes/chimp mammals/apes/gorilla mammals/apes/tamarin_emperor
mammals/aquatic/dolphin mammals/aquatic/orca mammals/aquatic/otter mammals/aquatic/sea_lion
mammals/aquatic/whale mammals/badger mammals/bears/bear mammals/bears/european-bear
mammals/bovines/bison mammals/bovines/bull mammals/bovines/cow mammals/bovines/cow_white
mammals/bovines/gnu-baby mammals/bovines/gnu-baby-stand mammals/bovines/gnu-sitting
mammals/bovines/gnu-stand mammals/bovines/goat mammals/bovines/indian_blackbuck
mammals/bovines/mountaingoat mammals/bovines/ram mammals/bovines/sheep mammals/bovines/sheep_lamb
mammals/bovines/yak mammals/bovines/zebu mammals/camel/camel mammals/camel/dromedary
mammals/cats/lion mammals/cats/lion-2 mammals/cats/tiger mammals/cats/tiger_sumatran
mammals/deer/caribou mammals/deer/deer mammals/deer/doe mammals/deer/wapiti mammals/dogs/dingo
mammals/dogs/dog mammals/dogs/fox mammals/elephant mammals/equines/donkey
mammals/equines/donkey_eating mammals/equines/horse mammals/equines/zebra mammals/ferret
mammals/giraffe mammals/hippopotamus mammals/pig mammals/pig_golden mammals/pig_golden2
mammals/*rabbit_little mammals/rhino_black mammals/rodents/beaver mammals/rodents/capybara
mammals/rodents/marmot mammals/rodents/mouse mammals/*rabbit-2 mammals/*rabbit mammals/rodents/rat
mammals/rodents/squirrel mammals/wildboar marsupials/kangaroo marsupials/koala marsupials/wombat"""

# One identity where two cut-outs may show the same animal or the same shooting.
_SAME_ANIMAL = {
    "heron_greatblue_flying": "heron_greatblue",
    "gnu-baby-stand": "gnu-baby",
    "donkey_eating": "donkey",
    "pig_golden2": "pig_golden",
    "rabbit-2": "rabbit",
    "rabbit_little": "rabbit",
}

# Left out: tuxpaint's sheep (mammals in the picture) and mossy_bark (black bars).
_LAND = {
    _WALLPAPERS: "FallenLeaf OneStandsOut Path",
    _NATURE: "Blinds Garden GreenMeadow LadyBird RainDrops Wood",
    _TEMPLATES: "burnt_bark cliff corn_maze mossy_log redwoods_above rocks trees_above",
}
_WATER = {
    _WALLPAPERS: "BytheWater ColdRipple DarkestHour EveningGlow summer_1am",
    _NATURE: "Aqua",
    _TEMPLATES: "ocean_splash ocean_waves",
}
_PACKAGES = {
    _STAMPS: "tuxpaint-stamps-default",
    _WALLPAPERS: "plasma-workspace-wallpapers",
    _NATURE: "mate-backgrounds",
    _TEMPLATES: "tuxpaint-data",
}

Patterns = dict[str, dict[str, list[str]]]


def cutout_patterns() -> Patterns:
    """Class -> identity -> patterns of its files; mammal = 0, bird = 1."""
    cutouts: Patterns = {"mammal": {}, "bird": {}}
    for class_name, stems in (
        ("mammal", _MAMMALS.split()),
        ("bird", [f"birds/{stem}" for stem in _BIRDS.split()]),
    ):
        for stem in stems:
            animal = stem.rsplit("/", 1)[1].lstrip("*")
            identity = _SAME_ANIMAL.get(animal, animal)
            cutouts[class_name].setdefault(identity, []).append(f"{_STAMPS}/{stem}.png")
    return cutouts


def background_patterns() -> Patterns:
    """Attribute value -> photograph -> pattern of its file; land = 0, water = 1."""

    def file(folder: str, stem: str) -> str:
        inside = f"{stem}/contents/images/2560x1600" if folder == _WALLPAPERS else stem
        return f"{folder}/{inside}.jpg"

    return {
        attribute: {
            stem: [file(folder, stem)] for folder, stems in source.items() for stem in stems.split()
        }
        for attribute, source in (("land", _LAND), ("water", _WATER))
    }


def packages() -> dict[str, list[str]]:
    """Debian package -> patterns of the files that are needed from it."""
    wanted: dict[str, list[str]] = {package: [] for package in _PACKAGES.values()}
    for source in (cutout_patterns(), background_patterns()):
        for identities in source.values():
            for patterns in identities.values():
                for pattern in patterns:
                    folder = next(root for root in _PACKAGES if pattern.startswith(f"{root}/"))
                    wanted[_PACKAGES[folder]].append(pattern)
    return wanted


@dataclass
class BirdsMammals(Settings):
    """Mammal (y = 0) or bird (1) on land (a = 0) or water (1); majority a = y, as in Waterbirds."""

    def load(self, cache: Path, progress: Progress = silent) -> ImageDataset:
        """The composed images; the packages are fetched below cache/debian at first use."""
        wanted = packages()
        files = fetch(wanted, cache, progress)

        def located(patterns: Patterns) -> dict[str, dict[str, list[Path]]]:
            return {
                name: {identity: [files[p] for p in ps] for identity, ps in identities.items()}
                for name, identities in patterns.items()
            }

        return compose(
            located(cutout_patterns()),
            located(background_patterns()),
            self,
            cache,
            progress,
            origin=versions(wanted, cache),
        )

    def named_groups(self) -> Groups:
        """The groups that the settings name."""
        return Groups(tuple(cutout_patterns()), tuple(background_patterns()))

    def card(self) -> str:
        """Counts of images and identities, from the names only: nothing is fetched."""
        cutouts, backgrounds = cutout_patterns(), background_patterns()
        groups = self.named_groups()
        rows = self.rows(n_pictures(cutouts), n_pictures(backgrounds))
        return card(
            groups,
            (
                (
                    row.split,
                    int(groups.codes(row.y, row.a)),
                    {
                        f"{groups.class_names[row.y]} cut-outs": row.cutout[0],
                        f"{groups.attribute_names[row.a]} photographs": row.background[0],
                    },
                )
                for row in rows
            ),
        )
