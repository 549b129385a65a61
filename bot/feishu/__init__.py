"""The parts of the Feishu platform. They import its SDK, which takes seconds: only where Feishu is configured."""
