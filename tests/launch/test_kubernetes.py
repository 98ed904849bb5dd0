"""Manifests: what a Job, its pods and a JobSet say, held to the schemas strictly and offline."""

import os
import subprocess
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
    "tpu": (GKE, "--launch.kubernetes.image=i", "--launch.device=tpu", "--launch.devices=4"),
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


def hold_to_schemas(document):
    """Raises where a cluster would refuse it, or take no notice of some part of it."""
    validate = pytest.importorskip("kubernetes_validate").validate
    if document["kind"] != "JobSet":
        validate(document, "1.31", strict=True)
        return
    # Its own fields; a cluster does not check the Job inside before it makes one.
    model = pytest.importorskip("kubeflow_trainer_api.models").JobsetV1alpha2JobSet
    assert model.from_dict(document).to_dict() == document  # What it does not know is dropped.
    for each in document["spec"]["replicatedJobs"]:
        job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "x"}}
        validate({**job, **each["template"]}, "1.31", strict=True)


def job_of(workload):
    if workload["kind"] == "Job":
        return workload
    return workload["spec"]["replicatedJobs"][0]["template"]


MISTAKES = {
    "of the workload": lambda workload: workload["spec"],
    "of the job": lambda workload: job_of(workload)["spec"],
    "of the pod": lambda workload: job_of(workload)["spec"]["template"]["spec"],
    "of the worker": lambda workload: job_of(workload)["spec"]["template"]["spec"]["containers"][0],
}


@pytest.mark.engines
@pytest.mark.parametrize("form", FORMS)
def test_manifests_hold_to_the_schemas(rendered, form):
    for document in rendered(form):
        hold_to_schemas(document)


@pytest.mark.engines
@pytest.mark.parametrize("form", ["gke", "gang"])
@pytest.mark.parametrize("place", MISTAKES)
def test_a_mistake_anywhere_is_found(rendered, form, place):
    errors = AssertionError, pytest.importorskip("kubernetes_validate").ValidationError
    workload = rendered(form)[1]
    hold_to_schemas(workload)
    MISTAKES[place](workload)["resorces"] = {}
    with pytest.raises(errors):
        hold_to_schemas(workload)


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
        # Kubernetes starts a pod again that has failed once.
        *("python", "-m", "launch.worker", "/study/run", "1", "10.0"),
        *("python", "-m", "jaxbias", "run"),
        *("--config=/etc/jaxbias/config.py", "--workdir=/study/run"),
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
    assert {"name": "JAX_NUM_PROCESSES", "value": "4"} in worker["env"]
    # A label of DNS, and so is the name of every pod's host.
    assert len(f"{jobset['metadata']['name']}-gang-1-3") <= 63


def test_no_try_of_a_gang_meets_where_the_last_did(rendered, programs):
    jobset = rendered("gang")[1]
    (gangs,) = jobset["spec"]["replicatedJobs"]
    (worker,) = gangs["template"]["spec"]["template"]["spec"]["containers"]
    told = {each["name"]: each["valueFrom"]["fieldRef"] for each in worker["env"][-4:-1]}
    assert told["GANG"] == {"fieldPath": "metadata.labels['jobset.sigs.k8s.io/job-index']"}
    attempt = "metadata.labels['jobset.sigs.k8s.io/restart-attempt']"
    assert told["ATTEMPT"] == {"fieldPath": attempt}
    programs.make("jaxbias")
    (programs.folder / "jaxbias").write_text('#!/bin/sh\necho "$JAX_COORDINATOR_ADDRESS $*"\n')
    name, met = jobset["metadata"]["name"], []
    for attempt in ("0", "1", "12"):
        env = {**os.environ, "GANG": "1", "ATTEMPT": attempt}
        said = subprocess.run(worker["command"], env=env, capture_output=True, text=True).stdout
        address, _, words = said.partition(" ")
        assert words.startswith("run --distributed --config=/etc/jaxbias/config.py")
        met.append(address)
    assert met == [f"{name}-gang-1-0.{name}:{port}" for port in (8476, 8477, 8488)]


def test_a_gang_has_a_slice_of_its_own_and_a_worker_on_tpus_a_topology(rendered):
    topology = "alpha.jobset.sigs.k8s.io/exclusive-topology"
    jobset = rendered("gang")[1]
    assert jobset["metadata"]["annotations"] == {topology: "cloud.google.com/gke-nodepool"}
    assert "annotations" not in rendered("gang", "--launch.device=gpu")[1]["metadata"]

    def variables(*more):
        template = rendered("gke", "--launch.devices=4", *more)[1]["spec"]["template"]
        return {each["name"]: each["value"] for each in template["spec"]["containers"][0]["env"]}

    assert variables("--launch.device=tpu") == {
        "TPU_PROCESS_BOUNDS": "1,1,1",
        "TPU_CHIPS_PER_PROCESS_BOUNDS": "2,2,1",
        "TPU_WORKER_HOSTNAMES": "localhost",
        "TPU_WORKER_ID": "0",
    }
    assert variables() == {}


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
