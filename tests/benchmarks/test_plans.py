"""The benchmark of plans: what commands take, analyses start empty, failures are a line."""

import json
import os
import sys

from benchmarks import plans


def test_a_command_is_timed_and_its_page_read():
    program = "sum(range(10**7)); print('a table'); print('All that is to be done: 1 chip-hours')"
    found = plans.measured([sys.executable, "-c", program], dict(os.environ))
    assert found["of_page"] == ["All that is to be done: 1 chip-hours"]
    assert found["cpu_s"] > 0 and found["seconds"] > 0


def test_a_plan_that_is_refused_is_its_last_line():
    program = "import sys; print('first', file=sys.stderr); sys.exit('no such target')"
    found = plans.measured([sys.executable, "-c", program], dict(os.environ))
    assert found == {"error": "no such target"}


def test_the_first_plan_has_prepared_images_and_no_analyses(monkeypatch, tmp_path):
    for name in ("stores", "analyses"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("JAXBIAS_HOME", str(tmp_path))
    seen = []

    def measured(command, environment):
        kept = environment["JAXBIAS_HOME"]
        seen.append((command[-3:], sorted(os.listdir(kept))))  # noqa: PTH208
        os.makedirs(f"{kept}/analyses", exist_ok=True)  # noqa: PTH103
        return {"seconds": 1.0}

    monkeypatch.setattr(plans, "measured", measured)
    found = plans.row("programme", "v5e:16x16", "")
    assert found == {"cold": {"seconds": 1.0}, "cached": {"seconds": 1.0}}
    asked = ["--dry_run", "--target=v5e:16x16", "--price=1"]
    assert seen == [(asked, ["stores"]), (asked, ["analyses", "stores"])]
    assert sorted(each.name for each in tmp_path.iterdir()) == ["analyses", "stores"]


def test_rows_that_are_there_are_not_measured_again(monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr(plans, "row", lambda *given: asked.append(given) or {"cold": {}})
    out = tmp_path / "plans.json"
    out.write_text(json.dumps({"hardware": {}, "rows": {"programme h100": {"cold": {"a": 1}}}}))
    words = ["plans", "--targets=h100", "--fairface=there", f"--out={out}"]
    monkeypatch.setattr(sys, "argv", words)
    plans.main()
    assert asked == [("resnet50", "h100", "there")]
    rows = json.loads(out.read_text())["rows"]
    assert rows == {"programme h100": {"cold": {"a": 1}}, "resnet50 h100": {"cold": {}}}
