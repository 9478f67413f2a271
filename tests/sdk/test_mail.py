"""Mail: over SMTP into a queue, as mail agents of the reference send and receive it."""

import asyncio
import base64
import datetime
import email
import email.policy
import ipaddress
import smtplib
import ssl
from email.message import EmailMessage

import aiosmtplib
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from meshagent.api.webhooks import WebhookServer
from rooms import entered, signed
from running import running
from test_room_server import web_server

QUEUE = "desk@mail.localhost"


def smtp(platform):
    return platform.environment["SMTP_HOSTNAME"], int(platform.environment["SMTP_PORT"])


async def with_mailbox(client, platform, *, public=False):
    project = platform.environment["MESHAGENT_PROJECT_ID"]
    await client.create_room(project_id=project, name="demo")
    await client.create_mailbox(
        project_id=project, address=QUEUE, room="demo", queue=QUEUE, public=public
    )
    return project


def mail(sender, subject="hello"):
    message = EmailMessage(policy=email.policy.SMTP)
    message["From"], message["To"], message["Subject"] = sender, QUEUE, subject
    message.set_content(".a line that begins with a dot\nä\n")
    message.add_attachment(bytes(range(256)), maintype="image", subtype="png", filename="ü.png")
    return message


def read(message):
    """A mail as mail agents read it from their queue."""
    return email.message_from_bytes(
        base64.b64decode(message["base64"]), policy=email.policy.default
    )


class Receiver(WebhookServer):
    """Puts what it hears into a queue."""

    def __init__(self, room):
        super().__init__(path="/hook", host="127.0.0.1", port=0, validate_webhook_secret=False)
        self.room = room

    async def on_webhook(self, *, payload):
        await self.room.queues.send(name=QUEUE, message={"heard": payload["event"]})


async def test_mail_a_task_and_a_webhook_meet_in_a_queue():
    with running("--smtp", "127.0.0.1:0") as platform:
        async with platform.client() as client:
            project = await with_mailbox(client, platform, public=True)
            task = await client.create_scheduled_task(
                project_id=project,
                room_name="demo",
                queue_name=QUEUE,
                payload={"prompt": "now"},
                schedule="* * * * *",
                once=True,
                annotations={},
            )
            # Nobody is in the room.
            await asyncio.to_thread(send_plainly, platform)

            async with entered(platform, "demo") as room:
                async with web_server(Receiver(room)) as url:
                    await client.create_webhook(
                        project_id=project,
                        name="all",
                        url=f"{url}/hook",
                        events=["storage.file.updated"],
                    )
                    await room.storage.upload(path="a.txt", data=b"x")
                    got = {}
                    while len(got) < 3:
                        message = await asyncio.wait_for(room.queues.receive(name=QUEUE), 90)
                        got[next(iter(message))] = message
            assert got["heard"] == {"heard": "storage.file.updated"}
            assert got["prompt"] == {"prompt": "now"}
            arrived = read(got["base64"])
            assert arrived["Subject"] == "hello"
            assert arrived["Delivered-To"] == QUEUE
            assert arrived["Return-Path"] == "<someone@example.com>"
            lines = arrived.get_body(("plain",)).get_content().splitlines()
            assert lines == [".a line that begins with a dot", "ä"]
            (attachment,) = arrived.iter_attachments()
            assert attachment.get_filename() == "ü.png"
            assert attachment.get_content() == bytes(range(256))
            assert task


def send_plainly(platform):
    with smtplib.SMTP(*smtp(platform)) as client:
        assert client.send_message(mail("someone@example.com")) == {}
        assert not client.has_extn("starttls")


def certified(folder):
    """A certificate of this machine, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = datetime.datetime.now(datetime.timezone.utc)
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    paths = folder / "certificate.pem", folder / "key.pem"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return paths


async def test_participants_send_over_tls_as_mail_agents_do(tmp_path):
    certificate, key = certified(tmp_path)
    options = ["--smtp-tls-cert", str(certificate), "--smtp-tls-key", str(key)]
    with running("--smtp", "127.0.0.1:0", *options) as platform:
        host, port = smtp(platform)
        async with platform.client() as client:
            await with_mailbox(client, platform)
            context = ssl.create_default_context(cafile=certificate)

            async def send(sender, **credentials):
                # TLS begins because it is offered.
                await aiosmtplib.send(
                    mail(sender), hostname=host, port=port, tls_context=context, **credentials
                )

            ada = {"username": "ada", "password": signed(platform, "demo", "ada")}
            await send(QUEUE, **ada)
            with pytest.raises(aiosmtplib.SMTPSenderRefused) as refused:
                await send("ceo@example.com", **ada)
            assert refused.value.code == 550
            assert "permission denied" in refused.value.message
            with pytest.raises(aiosmtplib.SMTPAuthenticationError):
                await send(QUEUE, username="bob", password=ada["password"])
            with pytest.raises(aiosmtplib.SMTPRecipientsRefused):
                await send("someone@example.com")
            async with entered(platform, "demo", "ada") as room:
                arrived = read(await room.queues.receive(name=QUEUE))
                assert "with ESMTPSA" in " ".join(arrived["Received"].split())
                assert await room.queues.receive(name=QUEUE, wait=False) is None


async def test_nothing_that_was_said_before_tls_counts(tmp_path):
    certificate, key = certified(tmp_path)
    options = ["--smtp-tls-cert", str(certificate), "--smtp-tls-key", str(key)]
    with running("--smtp", "127.0.0.1:0", *options) as platform:

        def talk():
            with smtplib.SMTP(*smtp(platform)) as client:
                client.ehlo()
                assert client.docmd("MAIL FROM:<a@b.test>")[0] == 250
                client.starttls(context=ssl.create_default_context(cafile=certificate))
                assert client.docmd("RCPT TO:<a@b.test>")[0] == 503
                assert client.docmd("MAIL FROM:<a@b.test>")[0] == 503
                client.ehlo()
                assert client.docmd("STARTTLS")[0] == 503
            # A command that somebody in between could have added ends the connection.
            with smtplib.SMTP(*smtp(platform)) as client:
                client.ehlo()
                client.send("STARTTLS\r\nNOOP\r\n")
                assert client.getreply()[0] == 521
                client.close()

        await asyncio.to_thread(talk)


async def test_the_largest_mail_can_be_received():
    with running("--smtp", "127.0.0.1:0") as platform:

        def send():
            with smtplib.SMTP(*smtp(platform)) as client:
                client.ehlo()
                most = int(client.esmtp_features["size"])
                lines = "From: a@b.test\r\n\r\n" + "line\r\n" * (most // 6)
                assert client.sendmail("a@b.test", [QUEUE], lines[: most - 2] + "\r\n") == {}
                return most

        async with platform.client() as client:
            await with_mailbox(client, platform, public=True)
            most = await asyncio.to_thread(send)
            async with entered(platform, "demo") as room:
                arrived = base64.b64decode((await room.queues.receive(name=QUEUE))["base64"])
                assert most < len(arrived) < most + 1024
