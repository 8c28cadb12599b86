"""The real node: names, settings, who has it, what it needs."""

import ipaddress
import json
import os
import re
from pathlib import Path

import pytest

from sandbox import components, paths, shape
from sandbox.images import catalogue
from sandbox.node import addons, host, owner, packages, settings
from sandbox.node.names import DNS_ADDRESS, Names
from sandbox.node.node import Node
from sandbox.node.owner import NodeBusyError, Owner
from sandbox.node.packages import PackagesMissingError
from sandbox.processes import Component, stop


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LITEMAAS_CACHE", str(tmp_path / "cache"))
    owner.folder().mkdir(parents=True)
    return tmp_path


@pytest.mark.parametrize("name", ["dev", "e2e", "A name, with everything!", "x" * 200])
def test_what_follows_from_a_name_is_fit_for_its_use(name: str):
    names = Names(name)
    assert len(names.bridge) <= 15
    assert len(names.node) <= 63
    assert names.node.replace("-", "").isalnum()
    pods, address = ipaddress.ip_network(names.pods), ipaddress.ip_address(names.address)
    assert address.is_private
    assert address not in pods
    services = ipaddress.ip_network(components.SERVICE_RANGE)
    assert not services.overlaps(pods)
    assert ipaddress.ip_address(DNS_ADDRESS) in services


def test_two_sandboxes_share_no_name():
    one, two = Names("one"), Names("two")
    for part in ("bridge", "node", "cgroup", "address", "pods"):
        assert getattr(one, part) != getattr(two, part)


def test_images_are_looked_for_here_first_and_in_their_registry_after():
    text = settings.mirror("docker.io", 25000)
    assert 'server = "https://registry-1.docker.io"' in text
    assert '[host."http://127.0.0.1:25000/v2/docker.io"]' in text
    assert 'server = "http://127.0.0.1:25000/v2/lab.local"' in settings.mirror("lab.local", 25000)


def test_everything_that_a_node_writes_is_below_its_folder():
    names, run = Names("dev"), Path("/state/node")
    kubelet = json.loads(settings.kubelet(names, run, Path("/ca.crt")))
    assert kubelet["cgroupRoot"] == f"/{names.cgroup}"
    for key in ("podLogsDir", "volumePluginDir"):
        assert Path(kubelet[key]).is_relative_to(run)
    assert 'state = "/state/node/containerd"' in settings.containerd(Path("/keep"), run)
    assert 'Root = "/state/node/runc"' in settings.containerd(Path("/keep"), run)


def test_the_chains_of_others_are_not_ours():
    assert host.CHAINS.search(":KUBE-POD-FW-ABC - [0:0]")
    assert not host.CHAINS.search(":KUBE-SERVICES - [0:0]")
    assert host.SETS.match("inet6:KUBE-SRC-ABC")
    assert not host.SETS.match("blocklist")


def test_the_manifests_hold_the_nodes_address_and_domain():
    found = [
        each
        for file in ("storage.yaml", "dns.yaml", "router.yaml", "oauth.yaml")
        for each in addons.manifests(file, Names("dev"), "apps.example.com")
    ]
    by_kind = {(each["kind"], each["metadata"]["name"]): each for each in found}
    assert by_kind["Service", "router-default"]["spec"]["externalIPs"] == [Names("dev").address]
    corefile = by_kind["ConfigMap", "coredns"]["data"]["Corefile"]
    assert "apps.example.com:5353 {" in corefile
    assert f"5 IN A {Names('dev').address}" in corefile
    assert by_kind["Route", "oauth-openshift"]["spec"]["host"] == "oauth-openshift.apps.example.com"
    env = by_kind["Deployment", "oauth-openshift"]["spec"]["template"]["spec"]["containers"][0]["env"]
    # Not by its name, which the cluster's DNS gives to this very pod.
    assert {"name": "KUBE_API_URL", "value": "https://$(KUBERNETES_SERVICE_HOST)"} in env


def test_a_model_is_served_with_the_arguments_of_its_inference_service_behind_its_service():
    objects = shape.load(paths.MANIFESTS / "models.yaml")
    services = {each["metadata"]["name"]: each["spec"]["selector"] for each in objects if each["kind"] == "Service"}
    models = [each for each in objects if each["kind"] == "InferenceService"]
    assert len(models) == 4
    for model in models:
        made = addons.predictor(model)
        template = made["spec"]["template"]
        assert services[made["metadata"]["name"]].items() <= template["metadata"]["labels"].items()
        assert template["spec"]["containers"][0]["args"] == model["spec"]["predictor"]["model"]["args"]


def test_every_image_of_the_nodes_own_pods_is_made_before_they_start():
    files = (addons.HERE / file for file in ("dns.yaml", "router.yaml", "oauth.yaml"))
    text = "".join(each.read_text() for each in files) + Path(addons.__file__).read_text()
    wanted = set(re.findall(r"lab\.local/([a-z-]+):1", text))
    assert wanted == set(catalogue.SYSTEM) - {"pause"}


def test_a_dead_owner_does_not_keep_others_out(cache: Path):
    Owner(str(cache / "one"), "one", "0").save()
    owner.refuse_other(cache / "two")


def test_a_live_owner_is_named_with_the_cure(cache: Path):
    kubelet = Component("kubelet", cache / "one")
    (cache / "one").mkdir()
    kubelet.start(["sleep", "30"])
    try:
        Owner(str(cache / "one"), "one", "0").save()
        with pytest.raises(NodeBusyError, match=f"down --state {cache / 'one'}"):
            owner.refuse_other(cache / "two")
        owner.refuse_other(cache / "one")
    finally:
        stop([pid for pid in [kubelet.pid()] if pid])


def test_stopping_a_node_that_never_was_does_nothing(cache: Path):
    assert Node(cache / "state", "dev", "apps.example.com").stop() == []


def test_a_path_too_long_for_sockets_is_refused_before_anything_happens(tmp_path: Path):
    with pytest.raises(ValueError, match="shorter --state"):
        Node(tmp_path / ("x" * 80), "dev", "apps.example.com").prepare()


def test_what_is_missing_is_named_with_the_command(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    wanted = {"/no/such/program": "its-package", "sh": "dash"}
    with pytest.raises(PackagesMissingError, match=r"sudo apt-get install --no-install-recommends its-package$"):
        packages.require(wanted, print)


def test_nothing_is_installed_where_all_is_there(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    lines: list[str] = []
    packages.require({"sh": "dash"}, lines.append)
    assert lines == []
