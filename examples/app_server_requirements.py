"""What an app-server may do, and what it does by default: requirements, configuration, account, models.

python examples/app_server_requirements.py
"""

import asyncio

from codex_sdk import AppServerClient


async def main() -> None:
    async with AppServerClient() as client:
        # What an administrator prescribes for all of Codex on this machine; nothing, as a rule.
        requirements = (await client.config_requirements_read())["requirements"]
        print(f"Required: {requirements or 'nothing'}")

        config = (await client.config_read())["config"]
        for name in ("model_provider", "approval_policy", "sandbox_mode"):
            print(f"{name}: {config.get(name) or 'default'}")

        account = (await client.account_read())["account"]
        print(f"Account: {account['type'] if account else 'none'}")

        models = (await client.model_list(limit=3))["data"]
        print(f"Models: {', '.join(model['id'] for model in models)}, …")


asyncio.run(main())
