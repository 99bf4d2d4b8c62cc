"""A WebSocket of Channels."""

from channels.generic.websocket import AsyncWebsocketConsumer


class Chat(AsyncWebsocketConsumer):
    """Echoes; the guard closes the socket with 4401 when its token or session ends."""

    async def receive(self, text_data=None, bytes_data=None):
        """Answer with the Django user's name."""
        await self.send(text_data=f"{self.scope['user'].username}: {text_data}")
