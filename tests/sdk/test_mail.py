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
    """The certificate of an authority, one of this machine that it signed, and the key of that."""
    authority, own = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    named = {
        name: x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        for name in ("authority", "own")
    }
    now = datetime.datetime.now(datetime.timezone.utc)
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])

    def certificate(name, key, *extensions):
        builder = (
            x509.CertificateBuilder()
            .subject_name(named[name])
            .issuer_name(named["authority"])
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
            )
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.public_key()),
                critical=False,
            )
        )
        for extension in extensions:
            builder = builder.add_extension(extension, critical=True)
        made = builder.sign(authority, hashes.SHA256())
        return made.public_bytes(serialization.Encoding.PEM)

    paths = folder / "authority.pem", folder / "certificate.pem", folder / "key.pem"
    is_authority = x509.BasicConstraints(ca=True, path_length=None)
    usages = ["digital_signature", "content_commitment", "key_encipherment", "data_encipherment"]
    usages += ["key_agreement", "crl_sign", "encipher_only", "decipher_only"]
    signs = x509.KeyUsage(key_cert_sign=True, **dict.fromkeys(usages, False))
    paths[0].write_bytes(certificate("authority", authority, is_authority, signs))
    paths[1].write_bytes(certificate("own", own, names))
    paths[2].write_bytes(
        own.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return paths


async def test_participants_send_over_tls_as_mail_agents_do(tmp_path):
    authority, certificate, key = certified(tmp_path)
    options = ["--smtp-tls-cert", str(certificate), "--smtp-tls-key", str(key)]
    with running("--smtp", "127.0.0.1:0", *options) as platform:
        host, port = smtp(platform)
        async with platform.client() as client:
            await with_mailbox(client, platform)
            context = ssl.create_default_context(cafile=authority)

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
    authority, certificate, key = certified(tmp_path)
    options = ["--smtp-tls-cert", str(certificate), "--smtp-tls-key", str(key)]
    with running("--smtp", "127.0.0.1:0", *options) as platform:

        def talk():
            with smtplib.SMTP(*smtp(platform)) as client:
                client.ehlo()
                assert client.docmd("MAIL FROM:<a@b.test>")[0] == 250
                client.starttls(context=ssl.create_default_context(cafile=authority))
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


class Relay:
    """A server that takes any mail over TLS, from its first byte or after STARTTLS."""

    def __init__(self, context, *, at_once):
        self.context, self.at_once, self.heard = context, at_once, []

    async def talk(self, reader, writer):
        writer.write(b"220 relay ESMTP\r\n")
        is_encrypted, is_mail = self.at_once, False
        while read := await reader.readline():
            line = read.decode().strip()
            self.heard.append((line, is_encrypted))
            if is_mail and line != ".":
                continue
            word = line.split()[0]
            if word == "EHLO" and not is_encrypted:
                writer.write(b"250-relay\r\n250 STARTTLS\r\n")
            elif word == "EHLO":
                writer.write(b"250-relay\r\n250 AUTH PLAIN\r\n")
            elif word == "STARTTLS":
                writer.write(b"220 go on\r\n")
                await writer.drain()
                await writer.start_tls(self.context)
                is_encrypted = True
            elif word == "AUTH":
                writer.write(b"235 ok\r\n")
            elif word == "DATA":
                writer.write(b"354 go on\r\n")
                is_mail = True
            else:
                writer.write(b"250 ok\r\n")
                is_mail = False
        writer.close()

    async def serve(self):
        tls = self.context if self.at_once else None
        server = await asyncio.start_server(self.talk, "127.0.0.1", 0, ssl=tls)
        return server, server.sockets[0].getsockname()[1]


async def send_elsewhere(platform):
    """Sends a mail of a participant to somebody elsewhere."""
    async with platform.client() as client:
        await with_mailbox(client, platform)
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = QUEUE, "a@elsewhere.test", "out"
    host, port = smtp(platform)
    token = signed(platform, "demo", "ada")
    await aiosmtplib.send(message, hostname=host, port=port, username="ada", password=token)


@pytest.mark.parametrize("how", ["starttls", "tls"])
async def test_mail_reaches_a_relay_over_tls_if_its_certificate_is_known(tmp_path, how):
    authority, certificate, key = certified(tmp_path)
    password = tmp_path / "password"
    password.write_text("a secret\n")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    relay = Relay(context, at_once=how == "tls")
    server, port = await relay.serve()
    options = ["--smtp", "127.0.0.1:0", "--smtp-relay", f"127.0.0.1:{port}", "--smtp-relay-tls", how]
    options += ["--smtp-relay-user", "me", "--smtp-relay-password-file", str(password)]
    async with server:
        with running(*options, SSL_CERT_FILE=str(authority)) as platform:
            await send_elsewhere(platform)
        plain = [line.split()[0] for line, is_encrypted in relay.heard if not is_encrypted]
        assert plain == ([] if how == "tls" else ["EHLO", "STARTTLS"])
        login = base64.b64encode(b"\0me\0a secret").decode()
        assert (f"AUTH PLAIN {login}", True) in relay.heard
        assert ("Subject: out", True) in relay.heard

        relay.heard.clear()
        with running(*options) as platform:
            with pytest.raises(aiosmtplib.SMTPDataError) as refused:
                await send_elsewhere(platform)
            assert refused.value.code == 451
        assert not [line for line, _ in relay.heard if line.startswith("AUTH")]
