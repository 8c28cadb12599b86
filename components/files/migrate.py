"""Brings LiteLLM's schema up to the version of this image, once, before its pods start.

Calls the function that `litellm --skip_server_startup` calls, because the command
itself ends with 0 even when a migration failed; this one's answer is the exit code.
In: DATABASE_URL, LITELLM_MIGRATION_DIR (writable; made here).
"""

import os
import sys

from litellm.proxy.db.prisma_client import PrismaManager

os.makedirs(os.environ["LITELLM_MIGRATION_DIR"], exist_ok=True)
if not PrismaManager.setup_database(use_migrate=True):
    sys.exit("LiteLLM's schema could not be migrated; the lines above say why. Nothing was rolled out.")
print("LiteLLM's schema is up to date")
