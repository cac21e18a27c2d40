"""The word lists of the story grammar. In every list the first entry is the likeliest; see `grammar.weighted`."""

from __future__ import annotations

HEROES: dict[str, tuple[str, float]] = {
    "The quick brown fox": ("he", 0.40),
    "The clever gray wolf": ("she", 0.14),
    "The old black bear": ("he", 0.12),
    "The little white rabbit": ("she", 0.11),
    "The proud red rooster": ("he", 0.08),
    "The shy field mouse": ("she", 0.08),
    "The busy young squirrel": ("he", 0.07),
}
FOX_ACTS = {
    " jumped over the lazy dog.": 0.94,
    " ran along the stone wall.": 0.025,
    " trotted into the old mill.": 0.02,
    " slept under a tall oak.": 0.015,
}
ACTS = (
    " walked along the stone wall.",
    " ran past the lazy dog.",
    " came down to the river.",
    " woke up before the sun.",
    " sat on a warm rock.",
    " crept through the tall grass.",
    " danced in the falling leaves.",
    " looked out over the hills.",
    " carried a basket to the market.",
    " hid behind an empty barrel.",
)
OPENINGS = (" It was a ", " Outside it was a ", " By then it was a ", " Then came a ")
MEETINGS = (
    " There {} met a ", " Soon {} saw a ", " On the way {} passed a ", " At noon {} heard a ", " Later {} helped a ",
    " In the end {} found a ",
)  # fmt: skip
SEARCHES = ("looked", "searched", "dug", "asked everyone and looked", "felt")
FAREWELLS = (" From that day on", " Ever since", " All summer long", " Until winter", " Every morning after that")
WEATHER = (
    "bright", "cold", "calm", "windy", "misty", "warm", "golden", "gray", "rainy", "frosty", "gentle", "stormy", "sleepy",
    "hazy", "lovely", "dark",
)  # fmt: skip
TIMES = ("morning", "evening", "day", "night", "afternoon", "Sunday")
PLACES = (
    "forest", "meadow", "river", "garden", "village", "hill", "barn", "pond", "orchard", "valley", "bridge", "mill", "cave",
    "lake", "farm", "well", "church", "road", "island", "swamp", "tower", "stable", "harbor", "castle",
)  # fmt: skip
PLACE_STATES = (
    "very still", "full of birds", "covered with dew", "white with snow", "green again", "almost empty", "full of flowers",
    "hidden in fog", "bathed in light", "louder than ever", "soft with moss", "smelling of rain",
)  # fmt: skip
KINDS = (
    "duck", "goat", "owl", "hedgehog", "turtle", "sparrow", "badger", "kitten", "frog", "donkey", "mole", "lamb", "goose",
    "otter", "pony", "crow", "beaver", "snail",
)  # fmt: skip
LOOKS = (
    "young", "tired", "friendly", "wet", "round", "tiny", "lonely", "funny", "brave", "sleepy", "hungry", "wise", "nervous",
    "muddy", "cheerful", "silent", "spotted", "grumpy", "polite", "curious",
)  # fmt: skip
GIRLS = (
    "Molly", "Rosa", "Daisy", "Hazel", "Lucy", "Nora", "Pearl", "Willow", "Greta", "Fern", "Tilda", "Ivy", "Sally", "June",
)  # fmt: skip
BOYS = (
    "Tom", "Oscar", "Henry", "Felix", "Jasper", "Otto", "Bruno", "Max", "Percy", "Rufus", "Walter", "Finn", "Gus", "Leo",
)  # fmt: skip
THINGS = (
    "hat", "key", "lantern", "drum", "blanket", "spoon", "kite", "bell", "boot", "letter", "scarf", "basket", "whistle",
    "button", "ring", "umbrella", "map", "clock", "marble", "ribbon", "violin", "teapot", "pillow", "candle",
)  # fmt: skip
COLORS = ("red", "blue", "silver", "green", "yellow", "wooden", "striped", "old", "shiny", "purple", "broken", "woolen")
SPOTS = (
    "under a log", "behind a bush", "in the hay", "beside a stone", "in a hollow tree", "below the stairs", "inside a barrel",
    "near the gate", "on the roof", "between two roots", "in a bird nest", "at the water", "under the leaves", "in a cart",
)  # fmt: skip
FOODS = (
    "bread", "apples", "honey", "berries", "cheese", "nuts", "soup", "carrots", "plums", "cake", "corn", "pears", "milk",
    "mushrooms", "pie", "cherries", "beans", "porridge",
)  # fmt: skip
FEARS = (
    "thunder", "dark", "wind", "hunter", "water", "snow", "shadows", "ghost", "fire", "ice", "owls", "silence", "storm", "snake",
)  # fmt: skip
JOYS = (
    "laughed", "danced", "sang a song", "clapped", "jumped for joy", "smiled", "cried a little", "bowed", "hugged everyone",
    "did not say a word", "cheered", "spun around",
)  # fmt: skip
MANNERS = (
    "softly",
    "kindly",
    "at once",
    "with a smile",
    "slowly",
    "bravely",
    "in a low voice",
    "proudly",
    "without fear",
)
ENDINGS = (
    "were best friends", "walked home together", "shared every secret", "were never apart", "met at the same place",
    "told the story often", "laughed about it", "kept one another warm", "looked at the stars", "lived in peace",
)  # fmt: skip
