using NATS.Client.JetStream;

namespace NATS.Client.ObjectStore;

public class NatsObjException : NatsJSException
{
    public NatsObjException(string message)
        : base(message)
    {
    }

    public NatsObjException(string message, Exception exception)
        : base(message, exception)
    {
    }
}

public class NatsObjNotFoundException : NatsObjException
{
    public NatsObjNotFoundException(string message)
        : base(message)
    {
    }
}
