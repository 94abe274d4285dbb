"""What the tests stand on: private servers, a gateway, clients."""
