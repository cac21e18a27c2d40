"""The temperature explorer as a Hugging Face Space; the package lies beside this file."""

from temp_processors.explore.app import build_app, launch
from temp_processors.explore.guard import Hosts
from temp_processors.explore.loading import load

MODEL = "fox"

if __name__ == "__main__":
    launch(
        build_app(load(MODEL), MODEL), hosts=Hosts(frozenset(), any_name=True)
    )  # public, behind the proxy of the Hub
