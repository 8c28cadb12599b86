"""Probes. ``period`` and ``timeout`` are seconds, ``failures`` the number in a row that counts."""

import pulumi_kubernetes as k8s


def http(
    path: str, port: int, *, tls: bool = False, period: int = 10, timeout: int = 5, failures: int = 3
) -> k8s.core.v1.ProbeArgs:
    """An HTTP GET probe; ``period`` and ``timeout`` in seconds. With ``tls`` the kubelet looks at no certificate."""
    get = k8s.core.v1.HTTPGetActionArgs(path=path, port=port, scheme="HTTPS" if tls else None)
    return k8s.core.v1.ProbeArgs(
        http_get=get, period_seconds=period, timeout_seconds=timeout, failure_threshold=failures
    )


def command(*words: str, period: int = 10, timeout: int = 5, failures: int = 3) -> k8s.core.v1.ProbeArgs:
    """A probe that runs a command in the container."""
    run = k8s.core.v1.ExecActionArgs(command=list(words))
    return k8s.core.v1.ProbeArgs(exec_=run, period_seconds=period, timeout_seconds=timeout, failure_threshold=failures)


def tcp(port: int, *, period: int = 10, timeout: int = 5, failures: int = 3) -> k8s.core.v1.ProbeArgs:
    """A probe that opens the port."""
    connect = k8s.core.v1.TCPSocketActionArgs(port=port)
    return k8s.core.v1.ProbeArgs(
        tcp_socket=connect, period_seconds=period, timeout_seconds=timeout, failure_threshold=failures
    )
