"""Is pretrained bias inherited, and what is the smallest change to the data that removes it?"""

from jaxbias.errors import InputError
from jaxbias.study import Study, default_config, make_study
from jaxbias.workflow import run

__all__ = ["InputError", "Study", "default_config", "make_study", "run"]
__version__ = "0.1.0"
