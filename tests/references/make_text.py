"""Makes the fixtures of text networks anew: tiny random weights in the published layout, inputs and outputs.

    pip install torch transformers        # of the versions in `_VERSIONS`, in an environment of their own
    python tests/references/make_text.py

Each fixture holds `config` (text of config.json), `weights/<published name>`, `inputs/<name>` and `outputs/<name>`.
"""

import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
import transformers
from safetensors.numpy import load_file

_VERSIONS = {"torch": "2.13", "transformers": "5.24"}
_SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}


def randomised(model):
    """Gives all weights values that show: normalisations and biases are no ones and zeros any more."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            wide = 0.3 if weight.dim() > 1 else 0.1
            centre = 1.0 if "norm" in name.lower() and name.endswith("weight") else 0.0
            weight.copy_(centre + wide * torch.randn(weight.shape, generator=generator))
    return model.eval()


def kept(model):
    """Returns weights and configuration as they lie on a disk."""
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        weights = load_file(Path(folder) / "model.safetensors")
        config = json.loads((Path(folder) / "config.json").read_text())
    return {f"weights/{name}": value for name, value in weights.items()}, config


def write(name, model, inputs, outputs):
    """Writes a fixture beside this script."""
    weights, config = kept(model)
    config |= {"made with": f"torch {torch.__version__}, transformers {transformers.__version__}"}
    arrays = {f"inputs/{key}": value.numpy() for key, value in inputs.items()}
    arrays |= {f"outputs/{key}": value.detach().numpy() for key, value in outputs.items()}
    path = Path(__file__).with_name(f"{name}.npz")
    np.savez_compressed(path, config=json.dumps(config), **weights, **arrays)
    print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")


def tokens(vocabulary_size, lengths=(9, 6, 2)):
    """Returns ids of several lengths, padded with 0, their mask and segments."""
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(1, vocabulary_size, (len(lengths), max(lengths)), generator=generator)
    mask = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    segments = (torch.arange(max(lengths)) >= 3) & mask
    return (ids * mask).to(torch.int32), mask.to(torch.int32), segments.to(torch.int32)


def bert():
    """BERT with its heads for masked tokens and for the next sentence."""
    config = transformers.BertConfig(vocab_size=40, max_position_embeddings=16, **_SMALL)
    model = randomised(transformers.BertForPreTraining(config))
    ids, mask, segments = tokens(40)
    said = {"input_ids": ids, "attention_mask": mask, "token_type_ids": segments}
    found, inside = model(**said), model.bert(**said)
    outputs = {
        "sequence": inside.last_hidden_state,
        "pooled": inside.pooler_output,
        "masked_tokens": found.prediction_logits,
        "next_sentence": found.seq_relationship_logits,
    }
    write("bert", model, {"ids": ids, "segments": segments}, outputs)


def causal(name, model, config):
    """A network that writes: logits of ids of several lengths, and what it writes greedily behind the first four."""
    model = randomised(getattr(transformers, model)(config))
    ids, mask, _ = tokens(40)
    found = model(input_ids=ids, attention_mask=mask)
    written = model.generate(input_ids=ids[:1, :4], max_new_tokens=8, do_sample=False, eos_token_id=None)
    write(name, model, {"ids": ids}, {"logits": found.logits, "greedy": written[:, 4:]})


def gpt2():
    """GPT-2, whose embedding gives the logits."""
    sizes = {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 16}
    causal("gpt2", "GPT2LMHeadModel", transformers.GPT2Config(vocab_size=40, bos_token_id=1, eos_token_id=1, **sizes))


def llamas():
    """Llama, Mistral with a window of 4, Qwen2 with biases, Qwen3 with normalised queries and keys; with experts."""
    shared = {"vocab_size": 40, "num_key_value_heads": 2, "max_position_embeddings": 32, **_SMALL}
    causal("llama", "LlamaForCausalLM", transformers.LlamaConfig(**shared))
    causal("mistral", "MistralForCausalLM", transformers.MistralConfig(sliding_window=4, **shared))
    causal("qwen2", "Qwen2ForCausalLM", transformers.Qwen2Config(tie_word_embeddings=True, **shared))
    causal("qwen3", "Qwen3ForCausalLM", transformers.Qwen3Config(head_dim=8, **shared))
    experts = {"num_experts_per_tok": 2, **shared}
    causal("mixtral", "MixtralForCausalLM", transformers.MixtralConfig(num_local_experts=4, **experts))
    several = {"num_experts": 4, "moe_intermediate_size": 16, "norm_topk_prob": True, "head_dim": 8, **experts}
    causal("qwen3_moe", "Qwen3MoeForCausalLM", transformers.Qwen3MoeConfig(**several))


def text_to_text(name, model, scaled=True):
    """A network that writes one text for another: logits of targets, and what it writes greedily.

    `model` is as `transformers` makes it, which ties the last layer whatever the configuration says; where the
    published version does not, it gets weights of its own.
    """
    if not scaled:
        model.lm_head.weight = torch.nn.Parameter(model.lm_head.weight.detach().clone())
        for tied in (model._tied_weights_keys, model.all_tied_weights_keys):
            tied.pop("lm_head.weight", None)  # so that both are kept
    model = randomised(model)
    if not scaled:  # otherwise rounding alone moves logits by 2e-5
        model.lm_head.weight.data *= model.config.d_model**-0.5
    ids, mask, _ = tokens(40, (13, 6, 2))
    target = torch.cat([torch.zeros(3, 1, dtype=torch.int32), tokens(40, (7, 7, 7))[0]], 1)
    found = model(input_ids=ids, attention_mask=mask, decoder_input_ids=target, use_cache=False)
    settings = {
        "use_cache": model.config.num_decoder_layers == model.config.num_layers,
        "max_new_tokens": 8,
        "do_sample": False,
        "eos_token_id": None,
        "num_beams": 1,
    }
    written = model.generate(input_ids=ids, attention_mask=mask, **settings)
    write(name, model, {"source": ids, "target": target}, {"logits": found.logits, "greedy": written[:, 1:]})


_T5 = {"vocab_size": 40, "d_model": 32, "d_kv": 6, "d_ff": 48, "num_layers": 2, "num_heads": 4}
_T5 |= {"relative_attention_num_buckets": 8, "relative_attention_max_distance": 12, "decoder_start_token_id": 0}


def t5():
    """T5, and its version 1.1 with gated networks and a last layer of its own."""
    text_to_text("t5", transformers.T5ForConditionalGeneration(transformers.T5Config(**_T5, num_decoder_layers=3)))
    config = transformers.T5Config(**_T5, feed_forward_proj="gated-gelu", tie_word_embeddings=False)
    text_to_text("t5_v1_1", transformers.T5ForConditionalGeneration(config), scaled=False)


def switch_transformers():
    """Switch Transformers, whose experts have so little room that some tokens find none."""
    own = {
        "num_experts": 4,
        "expert_capacity": 3,
        "num_sparse_encoder_layers": 1,
        "num_sparse_decoder_layers": 1,
        "num_decoder_layers": 2,
    }
    config = transformers.SwitchTransformersConfig(**_T5, **own)
    text_to_text("switch_transformers", transformers.SwitchTransformersForConditionalGeneration(config))


def deberta():
    """DeBERTa's first version: fused projections, no buckets."""
    config = transformers.DebertaConfig(
        vocab_size=40, max_position_embeddings=16, max_relative_positions=-1, type_vocab_size=0, **_DEBERTA, **_SMALL
    )
    _deberta("deberta", transformers.DebertaModel(config))


def deberta_v2():
    """DeBERTa's third version, whose layout is the second's: shared projections, logarithmic buckets."""
    config = transformers.DebertaV2Config(
        vocab_size=40,
        max_position_embeddings=32,
        position_buckets=4,
        share_att_key=True,
        norm_rel_ebd="layer_norm",
        type_vocab_size=0,
        **_DEBERTA,
        **_SMALL,
    )
    _deberta("deberta_v2", transformers.DebertaV2Model(config))


def deberta_v2_apart():
    """The second version with projections of positions alone, segments, added positions and a convolution."""
    options = _DEBERTA | {"position_biased_input": True}
    config = transformers.DebertaV2Config(
        vocab_size=40,
        max_position_embeddings=32,
        position_buckets=4,
        share_att_key=False,
        norm_rel_ebd="none",
        type_vocab_size=2,
        conv_kernel_size=3,
        conv_act="tanh",
        **options,
        **_SMALL,
    )
    _deberta("deberta_v2_apart", transformers.DebertaV2Model(config))


def big_bird():
    """BigBird with its heads: block-sparse attention in long sequences, padded inside, with padding in the batch."""
    config = transformers.BigBirdConfig(vocab_size=40, block_size=4, num_random_blocks=1, **_BIG_BIRD, **_SMALL)
    model = randomised(transformers.BigBirdForPreTraining(config))
    ids, mask, segments = tokens(40, (50, 41, 9))
    outputs = {}
    for name, wide in (("", 50), ("short_", 24)):  # the longer first: a short one turns the others off for good
        found, inside = ({**each} for each in _big_bird_answers(model, ids, mask, segments, wide))
        outputs |= {
            f"{name}sequence": inside["last_hidden_state"],
            f"{name}pooled": inside["pooler_output"],
            f"{name}masked_tokens": found["prediction_logits"],
            f"{name}next_sentence": found["seq_relationship_logits"],
        }
    write("big_bird", model, {"ids": ids, "segments": segments}, outputs)


def big_bird_full():
    """BigBird with attention to all, scaled embeddings and no biases of queries, keys and values."""
    config = transformers.BigBirdConfig(
        vocab_size=40, attention_type="original_full", use_bias=False, rescale_embeddings=True, **_BIG_BIRD, **_SMALL
    )
    model = randomised(transformers.BigBirdModel(config))
    ids, mask, segments = tokens(40, (50, 41, 9))
    _, inside = _big_bird_answers(model, ids, mask, segments, 50)
    write("big_bird_full", model, {"ids": ids, "segments": segments}, {"sequence": inside.last_hidden_state})


_BIG_BIRD = {"max_position_embeddings": 64}


def _big_bird_answers(model, ids, mask, segments, wide):
    """Returns what a network and its encoder answer to the first tokens of each row."""
    said = {"input_ids": ids, "attention_mask": mask, "token_type_ids": segments}
    said = {name: value[:, :wide].long() for name, value in said.items()}
    return model(**said), getattr(model, "bert", model)(**said)


_DEBERTA = {"relative_attention": True, "pos_att_type": ["p2c", "c2p"], "position_biased_input": False}


def _deberta(name, model):
    model = randomised(model)
    ids, mask, segments = tokens(40, (14, 6, 2))
    found = model(input_ids=ids.long(), attention_mask=mask, token_type_ids=segments.long())
    write(name, model, {"ids": ids, "segments": segments}, {"sequence": found.last_hidden_state})


MAKERS = {
    maker.__name__: maker
    for maker in (
        *(bert, big_bird, big_bird_full, deberta, deberta_v2, deberta_v2_apart, gpt2, llamas),
        *(switch_transformers, t5),
    )
}

if __name__ == "__main__":
    torch.set_num_threads(1)
    for name in sys.argv[1:] or MAKERS:
        MAKERS[name]()
