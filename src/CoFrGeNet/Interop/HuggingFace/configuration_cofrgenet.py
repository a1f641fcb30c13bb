"""Configuration of CoFrGeNet models for the transformers library; without the library it is a plain object."""

try:
    from transformers import PretrainedConfig
except ImportError:

    class PretrainedConfig:
        def __init__(self, **kwargs):
            for name, value in kwargs.items():
                setattr(self, name, value)


class CoFrGeNetConfig(PretrainedConfig):
    """The member ``model`` is the configuration tree of CoFrGeNet.NET, as it stands in config.json."""

    model_type = "cofrgenet"

    def __init__(self, model=None, tokenizer=None, **kwargs):
        self.model = model or {}
        self.tokenizer = tokenizer
        # A tied head is tied by use: there is no second parameter that could be tied.
        kwargs["tie_word_embeddings"] = False
        super().__init__(**kwargs)

    @property
    def layers(self):
        """One entry a layer, with repetitions written out."""
        return [block for block in self.model["blocks"] for _ in range(block.get("repeat", 1))]

    @property
    def vocab_size(self):
        return self.model["vocabularySize"]

    @property
    def hidden_size(self):
        return self.model["width"]

    @property
    def num_hidden_layers(self):
        return len(self.layers)

    @property
    def max_position_embeddings(self):
        return self.model["contextLength"]
