"""Brings LiteLLM's schema up to the version of this image, once, before its pods start.

Calls what `litellm --skip_server_startup` calls in the end, because the command itself
ended with 0 even when a migration failed; this one's answer is the exit code. Not by way
of `litellm.proxy`, whose import is most of nine seconds of a processor.
In: DATABASE_URL, LITELLM_MASTER_KEY, LITELLM_SALT_KEY, LITELLM_MIGRATION_DIR (writable; made here).
"""

import os
import sys

if os.environ.get("LITELLM_SALT_KEY", "") in ("", os.environ.get("LITELLM_MASTER_KEY")):
    sys.exit(
        "LITELLM_SALT_KEY is missing or equal to LITELLM_MASTER_KEY: LiteLLM would encrypt what it stores with the "
        "master key, and could read nothing of it once that is changed. Nothing was migrated or rolled out. Give "
        "litemaas:secrets.litellmSaltKey a value of its own, or leave it out to have one generated."
    )

from litellm_proxy_extras.utils import ProxyExtrasDBManager

os.makedirs(os.environ["LITELLM_MIGRATION_DIR"], exist_ok=True)
if not ProxyExtrasDBManager.setup_database(use_migrate=True):
    sys.exit("LiteLLM's schema could not be migrated; the lines above say why. Nothing was rolled out.")
print("LiteLLM's schema is up to date")
