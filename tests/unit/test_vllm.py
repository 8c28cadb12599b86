"""What a vLLM server was started with is read from its arguments, in every form that they take."""

import pytest

from config.vllm import Served, served

FORMS = {
    "joined by =": ["--served-model-name=granite", "--max-model-len=16384", "--enable-auto-tool-choice"],
    "separate": ["--served-model-name", "granite", "--max-model-len", "16384", "--enable-auto-tool-choice"],
    "with underscores": ["--served_model_name=granite", "--max_model_len=16384", "--enable_auto_tool_choice"],
    "a shell's line": [
        "/bin/sh",
        "-c",
        "exec vllm serve /mnt/models --served-model-name granite \\\n --max-model-len 16384 --enable-auto-tool-choice",
    ],
    "the last of several counts": [
        "--max-model-len=4096",
        "--served-model-name=granite",
        "--enable-auto-tool-choice",
        "--max-model-len=16384",
    ],
    "in units of 1024": ["--served-model-name=granite", "--max-model-len=16K", "--enable-auto-tool-choice"],
    "before a value with spaces": [
        "--served-model-name=granite",
        "--max-model-len=16384",
        "--enable-auto-tool-choice",
        '--chat-template={{ "a -- b" }}',
    ],
}


@pytest.mark.parametrize("arguments", FORMS.values(), ids=FORMS.keys())
def test_name_context_and_tools_are_found_in_every_form(arguments):
    assert served(arguments, {}) == Served(names=("granite",), context=16384, tools=True)


@pytest.mark.parametrize("variable", ["VLLM_ARGS", "VLLM_EXTRA_ARGS", "VLLM_ADDITIONAL_ARGS"])
def test_variables_that_start_scripts_append_count_too(variable):
    found = served(["--served-model-name=granite"], {variable: "--max-model-len 16384 --enable-auto-tool-choice"})
    assert found == Served(names=("granite",), context=16384, tools=True)


def test_other_variables_are_no_arguments():
    assert served(["--served-model-name=granite"], {"NOTE": "--max-model-len 16384"}).context is None


@pytest.mark.parametrize(("text", "length"), [("8k", 8000), ("25.6k", 25600), ("1M", 1048576), ("auto", None)])
def test_lengths_are_read_as_vllm_reads_them(text, length):
    assert served([f"--max-model-len={text}"], {}).context == length


def test_an_option_without_its_value_says_nothing():
    assert served(["--max-model-len"], {}).context is None


def test_a_server_may_have_several_names():
    assert served(["--served-model-name", "granite", "ibm/granite", "--dtype=auto"], {}).names == (
        "granite",
        "ibm/granite",
    )


def test_without_a_name_the_server_goes_by_its_path():
    assert served(["--model=/mnt/models"], {}).names == ("/mnt/models",)


def test_a_parser_alone_does_not_make_tool_calls_work():
    assert served(["--tool-call-parser=granite"], {}).tools is False


def test_of_another_server_nothing_is_known():
    assert served(["serve", "start.sh"], {}) == Served()


@pytest.mark.parametrize("argument", ["--task=embed", "--task=embedding", "--convert=embed"])
def test_an_embedding_server_is_known_by_its_task(argument):
    assert served([argument], {}).embedding


def test_kserves_own_server_has_its_name_and_path():
    found = served(["--model_name={{.Name}}", "--max_model_len=4096"], {})
    assert (found.names, found.prefix, found.context) == (("{{.Name}}",), "/openai/v1", 4096)


def test_a_server_with_a_certificate_speaks_tls():
    assert served(["--ssl-certfile=/tls/tls.crt"], {}).encrypted
