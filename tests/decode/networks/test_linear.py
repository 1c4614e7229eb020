import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from corticode.decode.networks.linear import LinearNetwork


def test_weighted_sum_by_hand():
    network = LinearNetwork(2, n_regions=2)
    with torch.no_grad():
        network.weight.copy_(torch.tensor([[[1.0, 2.0], [3.0, 4.0]]]))
        network.bias.fill_(0.5)
    assert network(torch.tensor([[[1.0, 1.0], [0.0, 10.0]]])).tolist() == [[43.5]]


def test_starts_from_nothing():
    network = LinearNetwork(31, n_regions=50, n_outputs=3)
    assert network(torch.randn(4, 31, 50)).tolist() == [[0.0] * 3] * 4
    assert sum(p.numel() for p in network.parameters()) == 3 * (31 * 50 + 1)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 4), st.integers(1, 3), st.integers(1, 3), st.integers(1, 3))
def test_frames_that_are_not_weighed_change_nothing(first, n_frames, n_regions, n_outputs):
    network = LinearNetwork(n_frames, first_frame=first, n_regions=n_regions, n_outputs=n_outputs)
    torch.nn.init.normal_(network.weight)
    windows = torch.randn(5, first + n_frames + 2, n_regions)
    logits = network(windows)
    expected = torch.einsum("wfr,ofr->wo", windows[:, first : first + n_frames], network.weight)
    torch.testing.assert_close(logits, expected + network.bias)
    windows[:, :first] = 7
    windows[:, first + n_frames :] = -7
    assert torch.equal(network(windows), logits)
