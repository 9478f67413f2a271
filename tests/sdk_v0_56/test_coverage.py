"""Every method of the SDK's client is exercised, or is named here with a reason."""

import inspect

from conftest import called
from meshagent.api.client import Meshagent

ACCESS = "the platform answers who may do what by refusing the rest"
AGENTS = "the platform runs no managed agents"
BILLING = "money is the hosted service's"
DISCOVERY = "it asks servers elsewhere what they offer"
DOMAINS = "domains and their certificates are the hosted service's"
EVENTS = "the platform keeps no such records"
FEEDS = "the platform has no feeds"
GROUPS = "the platform has no groups"
LLM = "the platform has no models"
OAUTH = "OAuth clients belong to the hosted accounts"
OPERATORS = "the platform has one owner"
PROFILES = "people change their profile with a client of 0.31"
PROXY = "nothing on the platform uses a secret for somebody else"
REPOSITORIES = "the platform keeps no images"
SESSIONS = "the tests of 0.31 call them, and both APIs spell them alike"
SIGN_IN = "it takes a browser, and both APIs spell it alike"
VOLUMES = "the platform runs no containers"

LEFT_OUT = {
    "connect_llm": LLM,
    "create_custom_domain": DOMAINS,
    "create_feed": FEEDS,
    "create_feed_subscription": FEEDS,
    "create_group": GROUPS,
    "create_llm_logger": LLM,
    "create_oauth_client": OAUTH,
    "create_repository": REPOSITORIES,
    "create_repository_token": REPOSITORIES,
    "create_room_volume": VOLUMES,
    "delete_custom_domain": DOMAINS,
    "delete_feed": FEEDS,
    "delete_feed_subscription": FEEDS,
    "delete_group": GROUPS,
    "delete_group_member": GROUPS,
    "delete_llm_logger": LLM,
    "delete_oauth_client": OAUTH,
    "delete_repository": REPOSITORIES,
    "delete_room_volume": VOLUMES,
    "discover_mcp_service": DISCOVERY,
    "discover_mcp_service_template": DISCOVERY,
    "discover_mcp_spec": DISCOVERY,
    "exchange_oauth_token": SIGN_IN,
    "expand_room_volume": VOLUMES,
    "get_balance": BILLING,
    "get_checkout_url": BILLING,
    "get_credits_checkout_url": BILLING,
    "get_current_user_llm_proxy_usage": LLM,
    "get_custom_domain": DOMAINS,
    "get_effective_access": ACCESS,
    "get_feed": FEEDS,
    "get_feed_by_name": FEEDS,
    "get_feed_subscription": FEEDS,
    "get_group": GROUPS,
    "get_group_by_name": GROUPS,
    "get_llm_logger": LLM,
    "get_mailbox_delivery": EVENTS,
    "get_oauth_client": OAUTH,
    "get_pricing": BILLING,
    "get_recent_transactions": BILLING,
    "get_repository": REPOSITORIES,
    "get_repository_by_name": REPOSITORIES,
    "get_session": SESSIONS,
    "get_session_participant_counts": SESSIONS,
    "get_subscription": BILLING,
    "get_sysadmin_user_profile": OPERATORS,
    "get_usage": BILLING,
    "grant_user_secret_proxy_access": PROXY,
    "kill_session": SESSIONS,
    "list_access_bindings": ACCESS,
    "list_access_bindings_page": ACCESS,
    "list_active_agent_sessions": AGENTS,
    "list_custom_domains": DOMAINS,
    "list_feed_subscriptions": FEEDS,
    "list_feeds": FEEDS,
    "list_feeds_page": FEEDS,
    "list_group_members": GROUPS,
    "list_group_members_page": GROUPS,
    "list_groups": GROUPS,
    "list_groups_page": GROUPS,
    "list_llm_loggers": LLM,
    "list_mailbox_deliveries": EVENTS,
    "list_mailbox_delivery_events": EVENTS,
    "list_oauth_clients": OAUTH,
    "list_oauth_clients_page": OAUTH,
    "list_recent_agent_sessions": AGENTS,
    "list_recent_single_agent_sessions": AGENTS,
    "list_recent_room_sessions": EVENTS,
    "list_repositories": REPOSITORIES,
    "list_repositories_page": REPOSITORIES,
    "list_room_events": EVENTS,
    "list_room_feeds": FEEDS,
    "list_room_feeds_page": FEEDS,
    "list_room_volumes": VOLUMES,
    "list_session_events": SESSIONS,
    "list_session_metrics": SESSIONS,
    "list_session_spans": SESSIONS,
    "list_user_secret_proxy_access": PROXY,
    "publish_feed_batch": FEEDS,
    "publish_feed_message": FEEDS,
    "revoke_api_keys_by_msid": PROXY,
    "revoke_user_secret_proxy_access": PROXY,
    "search_sysadmin_users": OPERATORS,
    "set_auto_recharge": BILLING,
    "set_group_member": GROUPS,
    "terminate": SESSIONS,
    "test_access": ACCESS,
    "update_feed": FEEDS,
    "update_feed_subscription": FEEDS,
    "update_group": GROUPS,
    "update_llm_logger": LLM,
    "update_oauth_client": OAUTH,
    "update_repository": REPOSITORIES,
    "update_sysadmin_user_profile": OPERATORS,
    "update_user_profile": PROFILES,
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
