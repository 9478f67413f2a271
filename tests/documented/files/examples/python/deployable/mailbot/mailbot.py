import os
import asyncio
import logging
from meshagent.otel import otel_config
from meshagent.api.services import ServiceHost
from meshagent.openai import OpenAIResponsesAdapter
from meshagent.agents.mail import MailBot

# Enable OpenTelemetry logging and tracing for the agent
otel_config(service_name="mailbot")
log = logging.getLogger("mailbot")

# Be sure you have created an email address first
queue = os.environ["EMAIL_QUEUE"]
email_address = os.environ["EMAIL_ADDRESS"]

service = ServiceHost()  # MeshAgent assigns a free port if you omit one


@service.path(path="/mail", identity="mailbot")
class ExampleMailbot(MailBot):
    def __init__(self):
        super().__init__(
            title="mailbot",
            description="An agent that responds via email",
            llm_adapter=OpenAIResponsesAdapter(),
            rules=["You are a helpful assistant that responds to users via email."],
            queue=queue,
            email_address=email_address,
        )


asyncio.run(service.run())
