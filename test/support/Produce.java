import java.nio.charset.StandardCharsets;
import java.util.Map;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** java Produce.java brokers topic [header value]...: one record, its value from the standard input. */
class Produce {
  public static void main(String[] arguments) throws Exception {
    var record = new ProducerRecord<byte[], byte[]>(arguments[1], System.in.readAllBytes());
    for (int i = 2; i < arguments.length; i += 2) {
      record.headers().add(arguments[i], arguments[i + 1].getBytes(StandardCharsets.UTF_8));
    }
    Map<String, Object> settings = Map.of("bootstrap.servers", arguments[0], "acks", "all");
    try (var producer = new KafkaProducer<>(settings, new ByteArraySerializer(), new ByteArraySerializer())) {
      producer.send(record).get();
    }
  }
}
