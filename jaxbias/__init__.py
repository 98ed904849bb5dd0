"""Is pretrained bias inherited, and what is the smallest change to the data that removes it?"""

from jaxbias.lazy import offer

__version__ = "0.1.0"
__getattr__, __all__ = offer(
    __name__,
    {
        "errors": "InputError",
        "stages.train": "run",
        "study": "Study default_config make_study",
    },
)
