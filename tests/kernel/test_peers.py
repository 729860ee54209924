"""Who asks, behind any number of proxies."""

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.kernel.peers import NO_PROXIES, Proxies

LISTED = "10.0.0.0/8, 2001:db8::/32,192.0.2.7"
OURS = Proxies(LISTED)
NETWORKS = [ip_network(one.strip()) for one in LISTED.split(",")]
ours = st.sampled_from(["10.1.2.3", "10.255.0.1", "2001:db8::1", "192.0.2.7"])
words = st.one_of(st.ip_addresses().map(str), st.text(max_size=20), ours)


@given(words, st.lists(words, max_size=4))
def test_without_a_proxy_of_ours_the_header_is_not_believed(client: str, invented: list[str]) -> None:
    assert NO_PROXIES.peer_of(client, invented) == client


@given(st.lists(words, max_size=4), st.ip_addresses().filter(lambda one: not any(one in net for net in NETWORKS)),
       st.lists(ours, min_size=1, max_size=3))  # fmt: skip
def test_nobody_chooses_the_address_that_is_counted(invented: list[str], person: object, proxies: list[str]) -> None:
    """Each proxy adds from whom it heard; the last one connects."""
    *behind, last = proxies
    told = [*invented, str(person), *behind]
    assert OURS.peer_of(last, [", ".join(told)]) == str(person)
    assert OURS.peer_of(last, told) == str(person)


@pytest.mark.parametrize("told", [[], [""], ["unknown"], ["198.51.100.7:443"], ["10.0.0.1, _hidden"]])
def test_what_is_no_address_ends_the_way(told: list[str]) -> None:
    assert ip_address(OURS.peer_of("10.0.0.1", told)) in NETWORKS[0]


@pytest.mark.parametrize("text", ["10.0.0.0/33", "proxy.example", "10.0.0.1/8", "10.0.0.1 10.0.0.2"])
def test_what_is_no_list_of_networks_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"does not appear|has host bits"):
        Proxies(text)
