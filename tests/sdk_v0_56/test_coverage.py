"""Every method of the SDK's client is exercised, or is named here with a reason."""

from conftest import exercised

AGENTS = "the platform has no managed agents"
BILLING = "money is the hosted service's"
DISCOVERY = "it asks servers elsewhere what they offer"
EVENTS = "the platform keeps no such records"
FEEDS = "the platform has no feeds"
LLM = "the platform has no models"
OAUTH = "OAuth clients belong to the hosted accounts"
OPERATORS = "the platform has one owner"
REPOSITORIES = "the platform keeps no images"
SIGN_IN = "it takes a browser, and both APIs spell it alike"

LEFT_OUT = {
    "connect_agent": AGENTS,
    "connect_llm": LLM,
    "create_agent": AGENTS,
    "create_feed": FEEDS,
    "create_feed_subscription": FEEDS,
    "create_llm_logger": LLM,
    "create_oauth_client": OAUTH,
    "create_repository": REPOSITORIES,
    "create_repository_token": REPOSITORIES,
    "delete_agent": AGENTS,
    "delete_feed": FEEDS,
    "delete_feed_subscription": FEEDS,
    "delete_llm_logger": LLM,
    "delete_oauth_client": OAUTH,
    "delete_repository": REPOSITORIES,
    "discover_mcp_service": DISCOVERY,
    "discover_mcp_service_template": DISCOVERY,
    "discover_mcp_spec": DISCOVERY,
    "exchange_oauth_token": SIGN_IN,
    "get_agent": AGENTS,
    "get_balance": BILLING,
    "get_checkout_url": BILLING,
    "get_credits_checkout_url": BILLING,
    "get_current_user_llm_proxy_usage": LLM,
    "get_feed": FEEDS,
    "get_feed_by_name": FEEDS,
    "get_feed_subscription": FEEDS,
    "get_llm_logger": LLM,
    "get_mailbox_delivery": EVENTS,
    "get_oauth_client": OAUTH,
    "get_pricing": BILLING,
    "get_recent_transactions": BILLING,
    "get_repository": REPOSITORIES,
    "get_repository_by_name": REPOSITORIES,
    "get_subscription": BILLING,
    "get_sysadmin_user_profile": OPERATORS,
    "get_usage": BILLING,
    "list_active_agent_sessions": AGENTS,
    "list_agents": AGENTS,
    "list_agents_page": AGENTS,
    "list_feed_subscriptions": FEEDS,
    "list_feeds": FEEDS,
    "list_feeds_page": FEEDS,
    "list_llm_loggers": LLM,
    "list_mailbox_deliveries": EVENTS,
    "list_mailbox_delivery_events": EVENTS,
    "list_oauth_clients": OAUTH,
    "list_oauth_clients_page": OAUTH,
    "list_recent_agent_sessions": AGENTS,
    "list_recent_single_agent_sessions": AGENTS,
    "list_repositories": REPOSITORIES,
    "list_repositories_page": REPOSITORIES,
    "list_room_events": EVENTS,
    "list_room_feeds": FEEDS,
    "list_room_feeds_page": FEEDS,
    "publish_feed_batch": FEEDS,
    "publish_feed_message": FEEDS,
    "search_sysadmin_users": OPERATORS,
    "set_auto_recharge": BILLING,
    "update_agent": AGENTS,
    "update_feed": FEEDS,
    "update_feed_subscription": FEEDS,
    "update_llm_logger": LLM,
    "update_oauth_client": OAUTH,
    "update_repository": REPOSITORIES,
    "update_sysadmin_user_profile": OPERATORS,
}


def test_every_method_is_exercised_or_left_out(request):
    exercised(LEFT_OUT, request)
