"""The examples as models: their spaces have the promised size, and they are the published networks by default."""

from __future__ import annotations

import itertools

import pytest
import torch


def parameter_count(model: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def test_resnet18_has_the_published_number_of_parameters():
    from resnet18 import resnet18

    assert parameter_count(resnet18()) == 11_689_512


def test_mobilenetv3_small_has_the_published_number_of_parameters():
    from mobilenetv3 import mobilenet_v3_small

    assert parameter_count(mobilenet_v3_small()) == 2_542_856


def test_resnet_space(load_file):
    space = load_file("examples/resnet/space.py")
    configurations = list(space.configurations())
    assert len(configurations) == 6561
    assert len({tuple(one.values()) for one in configurations}) == 6561
    model = space.build(configurations[-1]).eval()
    assert [block.conv1.kernel_size for block in model.blocks] == [(7, 7)] * 8


def test_resnet_block_refuses_what_no_resnet_has():
    from resnet18 import ResNetBasicBlock

    accepted = []
    for channels_in, channels_out, stride in itertools.product((64, 128, 256, 512), (64, 128, 256, 512), (1, 2)):
        try:
            ResNetBasicBlock(channels_in, channels_out, stride, 3)
        except ValueError:
            continue
        accepted.append((channels_in, channels_out, stride))
    assert len(accepted) == 7


def test_mobilenet_space(load_file):
    space = load_file("examples/mobilenetv3/space.py")
    assert [len(choices) for choices in space.SLOTS.values()] == [12] * 11
    for choice in space.CHOICES:
        model = space.build(dict.fromkeys(space.SLOTS, choice)).eval()
        with torch.inference_mode():
            assert model(torch.zeros(space.INPUT_SHAPE)).shape == (1, 1000)


@pytest.mark.parametrize("stages", [1, 2, 3, 4, 5])
def test_network_of_plain_layers(stages: int):
    from network import INPUT_SHAPE, network

    model = network(stages).eval()
    assert {type(layer).__module__.split(".")[0] for layer in model} == {"torch"}
    with torch.inference_mode():
        assert model(torch.zeros(INPUT_SHAPE)).shape == (1, 1000)
