# Serves what a script of the documentation serves, without what that script is made of.
import asyncio

from meshagent.api.services import ServiceHost

service = ServiceHost()


class Participant:
    async def start(self, *, room):
        pass

    async def stop(self):
        pass


for path, identity in {PATHS}.items():
    service.add_path(path, cls=Participant, identity=identity)

asyncio.run(service.run())
