"""Manifests: what a Job, its pods and a JobSet say, held to the schemas strictly and offline."""

from pathlib import Path

import pytest
import yaml

from jaxbias.study import config_file, make_study

ROOT = Path(__file__).parents[2]
QUICK = f"--config={ROOT}/configs/quickstart.py:smoke"
GKE = f"--launch={ROOT}/launch/configs/gke.py"
GANG = ("--launch.kubernetes.hosts=4", "--launch.workers=2", "--launch.device=tpu")
FORMS = {
    "cpu": ("--launch.kubernetes.image=i",),
    "gke": (GKE, "--launch.kubernetes.image=i", "--launch.kubernetes.service_account=s"),
    "queued": (GKE, "--launch.kubernetes.image=i", "--launch.kubernetes.queue=team"),
    "gang": (GKE, "--launch.kubernetes.image=i", "--launch.kubernetes.queue=team", *GANG),
}


@pytest.fixture
def rendered(launch, tmp_path):
    """Renders a form; returns the documents of its manifest."""

    def render(form, *more):
        folder = tmp_path / "files"
        where = ("--workdir=/study/run", f"--out={folder}")
        code, _, err = launch("render", "--engine=kubernetes", QUICK, *where, *FORMS[form], *more)
        assert (code, err) == (0, "")
        return [*yaml.safe_load_all((folder / "manifest.yaml").read_text())]

    return render


@pytest.mark.engines
@pytest.mark.parametrize("form", FORMS)
def test_manifests_hold_to_the_schemas(rendered, form):
    validate = pytest.importorskip("kubernetes_validate").validate
    config, workload = rendered(form)
    validate(config, "1.31", strict=True)
    if workload["kind"] == "JobSet":  # Its own fields; a cluster would not check the Job inside.
        models = pytest.importorskip("kubeflow_trainer_api.models")
        model = models.JobsetV1alpha2JobSet.from_dict(workload)
        assert model.to_dict() == workload  # What it does not know is dropped.
        for each in workload["spec"]["replicatedJobs"]:
            job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "x"}}
            validate({**job, **each["template"]}, "1.31", strict=True)
    else:
        validate(workload, "1.31", strict=True)


@pytest.mark.engines
def test_a_mistake_inside_the_pod_is_found(rendered):
    kubernetes_validate = pytest.importorskip("kubernetes_validate")
    workload = rendered("gke")[1]
    workload["spec"]["template"]["spec"]["containers"][0]["resorces"] = {}
    with pytest.raises(kubernetes_validate.ValidationError, match="resorces"):
        kubernetes_validate.validate(workload, "1.31", strict=True)


def test_disruptions_are_no_failures_and_wrong_input_is_not_tried_again(rendered):
    spec = rendered("gke", "--launch.failures=5")[1]["spec"]
    assert (spec["completionMode"], spec["completions"], spec["parallelism"]) == ("Indexed", 16, 16)
    assert spec["backoffLimitPerIndex"] == 5
    assert "backoffLimit" not in spec
    assert spec["template"]["spec"]["restartPolicy"] == "Never"
    first, second = spec["podFailurePolicy"]["rules"]
    disrupted = {"type": "DisruptionTarget", "status": "True"}
    assert first == {"action": "Ignore", "onPodConditions": [disrupted]}
    assert (second["action"], second["onExitCodes"]["values"]) == ("FailIndex", [2])
    (worker,) = spec["template"]["spec"]["containers"]
    assert second["onExitCodes"]["containerName"] == worker["name"]


def test_pods_have_the_config_the_directory_and_what_they_asked_for(rendered):
    config, job = rendered("gke", "--launch.environment={'A': 'b'}", "--config.finetune.seeds=7")
    pod = job["spec"]["template"]["spec"]
    (worker,) = pod["containers"]
    assert worker["command"] == [
        *("jaxbias", "run", "--config=/etc/jaxbias/config.py", "--workdir=/study/run")
    ]
    assert worker["resources"]["limits"] == {"nvidia.com/gpu": "1", "memory": "32Gi"}
    assert worker["resources"]["requests"] == {"cpu": "4", "memory": "32Gi"}
    assert worker["env"] == [{"name": "A", "value": "b"}]
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    assert volumes.keys() == {mount["name"] for mount in worker["volumeMounts"]}
    assert volumes["config"]["configMap"]["name"] == config["metadata"]["name"]
    assert pod["nodeSelector"]["cloud.google.com/gke-spot"] == "true"
    names = {"__name__": "config"}
    exec(config["data"]["config.py"], names)
    expected = config_file.load(f"{ROOT}/configs/quickstart.py:smoke")
    expected.finetune.seeds = 7
    assert make_study(names["get_config"]()) == make_study(expected)


def test_workers_on_cpus_are_told_of_as_many_as_they_get(rendered):
    worker = rendered("cpu", "--launch.devices=3")[1]["spec"]["template"]["spec"]["containers"][0]
    assert worker["resources"] == {"requests": {"cpu": "3"}}
    assert {"name": "JAX_NUM_CPU_DEVICES", "value": "3"} in worker["env"]


def test_gangs_start_again_as_a_whole_and_meet_at_their_first_pod(rendered):
    jobset = rendered("gang", "--launch.failures=5")[1]
    assert jobset["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "team"
    policy = jobset["spec"]["failurePolicy"]
    assert policy["maxRestarts"] == 5
    (rule,) = policy["rules"]
    assert rule["action"] == "RestartJobSetAndIgnoreMaxRestarts"
    (gangs,) = jobset["spec"]["replicatedJobs"]
    assert gangs["replicas"] == 2
    job = gangs["template"]["spec"]
    assert (job["completions"], job["parallelism"], job["backoffLimit"]) == (4, 4, 0)
    # The Job fails for that reason where a pod is disrupted.
    assert job["podFailurePolicy"]["rules"][0]["action"] == "FailJob"
    assert rule["onJobFailureReasons"] == ["PodFailurePolicy"]
    (worker,) = job["template"]["spec"]["containers"]
    assert worker["command"][:3] == ["jaxbias", "pretrain", "--distributed"]
    env = {each["name"]: each.get("value") for each in worker["env"]}
    name = jobset["metadata"]["name"]
    assert env["JAX_COORDINATOR_ADDRESS"] == f"{name}-gang-$(GANG)-0.{name}:8476"
    assert env["JAX_NUM_PROCESSES"] == "4"
    # What a variable refers to must stand before it.
    order = [each["name"] for each in worker["env"]]
    assert order.index("GANG") < order.index("JAX_COORDINATOR_ADDRESS")
    # A label of DNS, and so is the name of every pod's host.
    assert len(f"{name}-gang-1-3") <= 63


def test_labels_and_volumes_are_checked(launch, tmp_path):
    words = ("render", "--engine=kubernetes", QUICK, f"--workdir={tmp_path}/run", *FORMS["cpu"])
    code, _, err = launch(*words, "--launch.kubernetes.nodes=('gpu',)")
    assert code == 2 and "'gpu' must be written like disk=ssd" in err
    code, _, err = launch(*words, "--launch.kubernetes.claim=study")
    assert code == 2 and "go together" in err


def test_a_job_that_has_ended_is_made_anew_and_one_that_runs_is_left(launch, programs, tmp_path):
    words = ("--engine=kubernetes", f"--workdir={tmp_path}/run", "--launch.kubernetes.namespace=n")
    image = ("--launch.kubernetes.image=i", "--launch.workers=3")
    programs.make("kubectl", get_pods=(0, "pod/a"))
    assert "nothing is missing" in launch("resubmit", *words, QUICK, *image)[1]
    assert [call[2] for call in programs.calls()] == ["get"]
    programs.make("kubectl")
    code, out, _ = launch("resubmit", *words, QUICK, *image)
    assert code == 0 and "3 workers submitted" in out
    calls = programs.calls()
    assert [call[2] for call in calls] == ["get", "delete", "apply"]
    assert {call[1] for call in calls} == {"--namespace=n"}
    assert Path(calls[-1][-1]).is_file()
    launch("logs", *words)
    launch("cancel", *words)
    assert [call[2] for call in programs.calls()] == ["logs", "delete"]


def test_the_image_has_what_its_workers_run():
    lines = (ROOT / "launch/Dockerfile").read_text().splitlines()
    copied = [line.split()[1:-1] for line in lines if line.startswith("COPY")]
    assert all((ROOT / name).exists() for names in copied for name in names)
    assert any("constraints/3.12.txt" in line for line in lines)
