"""Every method of the SDK's client is exercised, or is named here with a reason."""

import inspect

from conftest import called
from meshagent.api.client import Meshagent

OAUTH = "OAuth clients belong to the hosted accounts"
SHARES = "shares are links of the hosted service"
BILLING = "money is the hosted service's"
DISCOVERY = "it asks servers elsewhere what they offer"

LEFT_OUT = {
    "create_oauth_client": OAUTH,
    "update_oauth_client": OAUTH,
    "list_oauth_clients": OAUTH,
    "get_oauth_client": OAUTH,
    "delete_oauth_client": OAUTH,
    "create_share": SHARES,
    "update_share": SHARES,
    "delete_share": SHARES,
    "list_shares": SHARES,
    "connect_share": SHARES,
    "get_pricing": BILLING,
    "get_balance": BILLING,
    "get_recent_transactions": BILLING,
    "set_auto_recharge": BILLING,
    "get_checkout_url": BILLING,
    "get_credits_checkout_url": BILLING,
    "get_subscription": BILLING,
    "get_usage": BILLING,
    "discover_mcp_spec": DISCOVERY,
    "discover_mcp_service": DISCOVERY,
    "discover_mcp_service_template": DISCOVERY,
}


def test_every_method_is_exercised_or_left_out(request):
    methods = {
        name
        for name, method in inspect.getmembers(Meshagent, inspect.iscoroutinefunction)
        if not name.startswith("_") and name != "close"
    }
    assert LEFT_OUT.keys() <= methods
    whole = not request.config.option.keyword and request.session.testsfailed == 0
    if whole and len({item.path for item in request.session.items}) > 1:
        assert methods - LEFT_OUT.keys() - called == set()
        assert LEFT_OUT.keys() & called == set()
    print(f"{len(methods - LEFT_OUT.keys())} of {len(methods)} methods")
