"""Where a node lives that `alknet serve` runs, to be killed and started again."""

from contextlib import asynccontextmanager

from ..cli.command import running


class Place:
    """A folder with the files of a node, which is started in it again and again."""

    def __init__(self, folder, toml, phrase, **fields):
        self.toml = toml
        self._folder = folder
        self._fields = fields
        self._phrase = phrase
        self.url = fields.pop("url")

    @asynccontextmanager
    async def serving(self):
        """Run the node, at the same port as before, until the block is left: then `kill -9`."""
        self._folder.mkdir(exist_ok=True)
        self.write()
        phrase = self._folder / "phrase"
        phrase.touch(0o600)
        phrase.write_text(self._phrase)
        async with running("serve", "--phrase-file", "phrase", cwd=self._folder) as node:
            ready, _, url = (await node.line()).partition(" ")
            assert ready == "ready", await node.end()
            self.url = url or self.url
            yield

    def write(self):
        """Write stack.toml as `toml` says it now."""
        path = self._folder / "stack.toml"
        path.write_text(self.toml.format(url=self.url, **self._fields))
