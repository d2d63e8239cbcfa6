// Makes the bc-*.der beside it with Bouncy Castle, in forms that OpenSSL 3.0 does not write:
// java -cp '/usr/share/java/bcprov.jar:/usr/share/java/bcpkix.jar:/usr/share/java/bcutil.jar' BouncyCastle.java
// (Debian: libbcpkix-java). The recipient is rsa.crt.

import java.io.*;
import java.nio.file.*;
import java.security.Security;
import java.security.cert.*;
import java.util.*;
import org.bouncycastle.asn1.*;
import org.bouncycastle.asn1.cms.*;
import org.bouncycastle.cms.*;
import org.bouncycastle.cms.jcajce.*;
import org.bouncycastle.jce.provider.BouncyCastleProvider;
import org.bouncycastle.operator.*;

public class BouncyCastle {
    static byte[] content;
    static X509Certificate certificate;

    public static void main(String[] args) throws Exception {
        Security.addProvider(new BouncyCastleProvider());
        content = Files.readAllBytes(Path.of("content.txt"));
        certificate = (X509Certificate) CertificateFactory.getInstance("X.509").generateCertificate(new FileInputStream("rsa.crt"));
        byte[] large = new byte[100000];
        Random random = new Random(1);
        for (int i = 0; i < large.length; i++) large[i] = (byte) ("0123456789abcdef".charAt(random.nextInt(16)));

        authenticated("bc-ccm128", CMSAlgorithm.AES128_CCM, content, false);
        authenticated("bc-ccm192", CMSAlgorithm.AES192_CCM, content, true);
        authenticated("bc-ccm256", CMSAlgorithm.AES256_CCM, content, false);
        authenticated("bc-gcm-attributes", CMSAlgorithm.AES256_GCM, content, true);
        enveloped("bc-des3", CMSAlgorithm.DES_EDE3_CBC, content);
        enveloped("bc-gcm-in-enveloped", CMSAlgorithm.AES256_GCM, content);
        compressed("bc-compressed", content);
        compressed("bc-compressed-large", large);
    }

    static RecipientInfoGenerator recipient() throws Exception {
        return new JceKeyTransRecipientInfoGenerator(certificate).setProvider("BC");
    }

    static void write(String name, byte[] object) throws Exception {
        Files.write(Path.of(name + ".der"), object);
        System.out.println(name + " " + object.length);
    }

    static void authenticated(String name, ASN1ObjectIdentifier cipher, byte[] p, boolean attributes) throws Exception {
        try {
            CMSAuthEnvelopedDataGenerator g = new CMSAuthEnvelopedDataGenerator();
            if (attributes) {
                Hashtable<ASN1ObjectIdentifier, Attribute> table = new Hashtable<>();
                table.put(CMSAttributes.contentType, new Attribute(CMSAttributes.contentType, new DERSet(CMSObjectIdentifiers.data)));
                table.put(CMSAttributes.signingTime, new Attribute(CMSAttributes.signingTime, new DERSet(new DERUTCTime("260101000000Z"))));
                g.setAuthenticatedAttributeGenerator(new SimpleAttributeTableGenerator(new AttributeTable(table)));
            }
            g.addRecipientInfoGenerator(recipient());
            OutputAEADEncryptor e = (OutputAEADEncryptor) new JceCMSContentEncryptorBuilder(cipher).setProvider("BC").build();
            write(name, g.generate(new CMSProcessableByteArray(p), e).getEncoded());
        } catch (Exception e) {
            System.out.println(name + ": " + e);
        }
    }

    static void enveloped(String name, ASN1ObjectIdentifier cipher, byte[] p) throws Exception {
        try {
            CMSEnvelopedDataGenerator g = new CMSEnvelopedDataGenerator();
            g.addRecipientInfoGenerator(recipient());
            OutputEncryptor e = new JceCMSContentEncryptorBuilder(cipher).setProvider("BC").build();
            write(name, g.generate(new CMSProcessableByteArray(p), e).getEncoded());
        } catch (Exception e) {
            System.out.println(name + ": " + e);
        }
    }

    static void compressed(String name, byte[] p) throws Exception {
        write(name, new CMSCompressedDataGenerator().generate(new CMSProcessableByteArray(p), new ZlibCompressor()).getEncoded());
    }

}
