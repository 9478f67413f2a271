"""Every method of the SDK's client is exercised, or is named here with a reason."""

from conftest import exercised

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
    exercised(LEFT_OUT, request)
