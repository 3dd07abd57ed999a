//! MQTT 5 reason codes in words for an operator.

use rumqttc::v5::mqttbytes::v5::{ConnectReturnCode, DisconnectReasonCode, SubscribeReasonCode};

/// A broker that does not keep to the Receive Maximum we announce.
pub(super) const RECEIVE_MAX_EXCEEDED: &str = "the broker sent more messages than we said we take at once";

/// Why a CONNECT was refused (MQTT 5, section 3.2.2.2).
pub(super) fn connection(code: ConnectReturnCode) -> String {
    let words = match code {
        ConnectReturnCode::RefusedProtocolVersion | ConnectReturnCode::UnsupportedProtocolVersion => {
            "it does not speak MQTT 5"
        }
        ConnectReturnCode::BadClientId | ConnectReturnCode::ClientIdentifierNotValid => {
            "it does not take our client identifier"
        }
        ConnectReturnCode::BadUserNamePassword => "it does not know our user name",
        ConnectReturnCode::NotAuthorized => "its access list does not let this certificate in",
        ConnectReturnCode::Banned => "it has banned us",
        ConnectReturnCode::ServiceUnavailable | ConnectReturnCode::ServerUnavailable => {
            "it is not available now"
        }
        ConnectReturnCode::ServerBusy => "it is busy",
        ConnectReturnCode::QuotaExceeded => "its quota is used up",
        ConnectReturnCode::ConnectionRateExceeded => "too many connections at once",
        ConnectReturnCode::PacketTooLarge => "our CONNECT is larger than it takes",
        ConnectReturnCode::RetainNotSupported => "it keeps no retained messages, and receipts need them",
        ConnectReturnCode::QoSNotSupported => "it does not take QoS 1",
        ConnectReturnCode::TopicNameInvalid => "it does not take our last will's topic",
        ConnectReturnCode::UseAnotherServer | ConnectReturnCode::ServerMoved => {
            "it sends us to another server"
        }
        other => return format!("{other:?}"),
    };
    words.to_owned()
}

/// Why a subscription was refused (MQTT 5, section 3.9.3).
pub(super) fn subscription(code: &SubscribeReasonCode) -> &'static str {
    match code {
        SubscribeReasonCode::Success(_) => "granted at QoS 0 only",
        SubscribeReasonCode::NotAuthorized => "its access list forbids it",
        SubscribeReasonCode::TopicFilterInvalid => "it does not take this filter",
        SubscribeReasonCode::QuotaExceeded => "its quota is used up",
        SubscribeReasonCode::SharedSubscriptionsNotSupported => "it has no shared subscriptions",
        SubscribeReasonCode::WildcardSubscriptionsNotSupported => "it has no wildcards",
        _ => "it gives no reason",
    }
}

/// Why the broker ended a connection (MQTT 5, section 3.14.2.1).
pub(super) fn goodbye(code: DisconnectReasonCode) -> &'static str {
    match code {
        DisconnectReasonCode::ServerShuttingDown => "it is shutting down",
        DisconnectReasonCode::ServerBusy => "it is busy",
        DisconnectReasonCode::KeepAliveTimeout => "it heard nothing from us",
        DisconnectReasonCode::NotAuthorized => "we are no longer authorised",
        DisconnectReasonCode::AdministrativeAction => "its administrator closed it",
        DisconnectReasonCode::PacketTooLarge => "a packet was larger than it takes",
        DisconnectReasonCode::ReceiveMaximumExceeded => "more was in flight than it takes",
        DisconnectReasonCode::QuotaExceeded => "its quota is used up",
        DisconnectReasonCode::MessageRateTooHigh => "we send too fast",
        DisconnectReasonCode::ProtocolError | DisconnectReasonCode::MalformedPacket => {
            "it found a protocol error"
        }
        _ => "it gives no reason",
    }
}
