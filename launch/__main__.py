"""`python -m launch VERB`: the flags, and which verb does what."""

from jaxbias.cli.command import main
from jaxbias.cli.flags import FLAGS, Command, CommandLine, Flag
from jaxbias.study.config_file import STUDY, Settings
from launch.settings import default_config

_HOW = "[--launch=FILE.py] [--launch.FIELD=VALUE ...]"
_WHAT = f"--engine=ENGINE --config=FILE.py --workdir=DIR {_HOW}"
_WHERE = f"--engine=ENGINE --workdir=DIR {_HOW}"
_ASKS = dict.fromkeys(("engine", "workdir", "launch", "out"), "")
_RUNS = {"engine": "", "config": "", **_ASKS}
LAUNCH = CommandLine(
    "python -m launch",
    "run a study on many machines, by an engine that is there.",
    "submit --engine=local --config=configs/quickstart.py --workdir=DIR --launch.workers=4",
    "launch",
    {
        "render": Command(
            "verbs:render",
            "write everything that would be submitted; submit nothing.",
            (_WHAT,),
            _RUNS,
        ),
        "submit": Command(
            "verbs:submit", "start the workers.", (f"{_WHAT} [--yes]",), {**_RUNS, "yes": ""}
        ),
        "resubmit": Command(
            "verbs:resubmit",
            "start as many workers as are missing, where a study is not done.",
            (f"{_WHAT} [--yes]",),
            {**_RUNS, "yes": ""},
        ),
        "status": Command(
            "verbs:status",
            "how far a study has come, from its directory alone.",
            ("--workdir=DIR [--watch] [--launch.price=PRICE]",),
            dict.fromkeys(("workdir", "watch", "launch"), ""),
        ),
        "logs": Command("verbs:logs", "what the workers wrote last.", (_WHERE,), _ASKS),
        "cancel": Command(
            "verbs:cancel", "stop all workers; what is done stays.", (_WHERE,), _ASKS
        ),
    },
    {
        "engine": Flag("ENGINE", "local, slurm, ray, kubernetes or tpu_vm."),
        "config": FLAGS["config"],
        "workdir": FLAGS["workdir"],
        "launch": Flag("FILE.py[:ARG]", "How to launch: a Python file with get_config(arg)."),
        "out": Flag("DIR", "For the files of the launch. Default: DIR/launch/ENGINE.", path=True),
        "yes": Flag("", "Submit what costs more than launch.max_cost."),
        "watch": Flag("", "Print it again and again, until all is done."),
    },
    {**STUDY, "launch": Settings(default_config, "workers", needs_file=False)},
)

if __name__ == "__main__":
    main(line=LAUNCH)
